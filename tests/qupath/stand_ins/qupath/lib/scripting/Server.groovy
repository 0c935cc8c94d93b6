package qupath.lib.scripting

class Server {
    Collection<URI> URIs
    int width
    int height
}

package qupath.lib.scripting

class Entry {
    String ID
    String originalImageName
    Server server
}

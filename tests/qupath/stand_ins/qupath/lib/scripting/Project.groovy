package qupath.lib.scripting

import java.nio.file.Path

class Project {
    Path path
    List<Entry> imageList
}

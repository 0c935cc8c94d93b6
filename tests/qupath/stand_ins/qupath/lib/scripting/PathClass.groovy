package qupath.lib.scripting

/** As in QuPath there is one of each name, and it keeps its first colour. */
class PathClass {
    static Map<String, PathClass> all = [:]
    String name
    List<Integer> rgb

    static PathClass of(String name, List<Integer> rgb) {
        def parts = name.split(':')*.trim().join(': ')
        all.computeIfAbsent(parts) { new PathClass(name: it, rgb: rgb ?: [64, 64, 64]) }
    }

    void setColor(int red, int green, int blue) { rgb = [red, green, blue] }
    String toString() { name }
}

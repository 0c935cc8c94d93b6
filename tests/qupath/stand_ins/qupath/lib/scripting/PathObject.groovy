package qupath.lib.scripting

class PathObject {
    UUID ID
    String type
    PathClass pathClass
    Map geometry
    Map<String, Number> measurements

    boolean isAnnotation() { type == 'annotation' }
    boolean isDetection() { type == 'detection' }
}

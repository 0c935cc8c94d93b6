package qupath.lib.scripting

import qupath.lib.io.PathIO

/** Stands in for QuPath's class of this name: the calls that the scripts make, on one open image. */
class QP {
    static Project project
    static Entry entry
    static List<PathObject> objects = []
    static List<PathObject> selected = []

    static Project getProject() { project }
    static Entry getProjectEntry() { entry }
    static Server getCurrentServer() { entry.server }
    static Collection<PathObject> getAnnotationObjects() { objects.findAll { it.isAnnotation() } }
    static Collection<PathObject> getAllObjects(boolean withRoot) { new ArrayList(objects) }
    static Collection<PathObject> getSelectedObjects() { selected }
    static void addObjects(Collection<PathObject> added) { objects.addAll(added) }
    static PathClass getPathClass(String name) { PathClass.of(name, null) }
    static void fireHierarchyUpdate() {}

    static boolean hasMeasurement(PathObject object, String name) {
        object.measurements != null && object.measurements.containsKey(name)
    }

    static void exportObjectsToGeoJson(Collection<PathObject> exported, String path, String option) {
        assert option == 'FEATURE_COLLECTION'
        PathIO.write(exported, new File(path))
    }
}

package qupath.lib.io

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.util.zip.GZIPInputStream
import qupath.lib.scripting.PathClass
import qupath.lib.scripting.PathObject

/** Stands in for QuPath's class of this name: GeoJSON as QuPath reads and writes it. */
class PathIO {
    static List<PathObject> readObjects(File file) {
        file.withInputStream { packed ->
            def stream = file.name.endsWith('.gz') ? new GZIPInputStream(packed) : packed
            new JsonSlurper().parse(stream, 'UTF-8').features.collect { object(it) }
        }
    }

    static void write(Collection<PathObject> objects, File file) {
        def features = objects.collect { feature(it) }
        file.setText(JsonOutput.toJson([type: 'FeatureCollection', features: features]), 'UTF-8')
    }

    private static PathObject object(Map feature) {
        def stated = feature.get('properties')
        def kind = stated.classification
        new PathObject(
            ID: UUID.fromString(feature.id),
            type: stated.objectType,
            pathClass: kind ? PathClass.of(kind.name ?: kind.names.join(': '), kind.color) : null,
            geometry: feature.geometry,
            measurements: new LinkedHashMap(stated.measurements ?: [:]),
        )
    }

    private static Map feature(PathObject object) {
        def properties = [objectType: object.type]
        if (object.pathClass) {
            def names = object.pathClass.name.split(': ') as List
            def named = names.size() > 1 ? [names: names] : [name: names[0]]
            properties.classification = named + [color: object.pathClass.rgb]
        }
        if (object.measurements) {
            properties.measurements = object.measurements
        }
        [type: 'Feature', id: object.ID.toString(), geometry: object.geometry, properties: properties]
    }
}

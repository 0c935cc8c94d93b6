package qupath.lib.io

import groovy.json.JsonOutput
import groovy.json.JsonSlurper

/** Stands in for QuPath's class of this name; QuPath has Gson, and not Groovy's own JSON. */
class GsonTools {
    static GsonTools getInstance() { new GsonTools() }

    Object fromJson(String text, Class type) {
        assert type == Map
        doubles(new JsonSlurper().parseText(text))
    }

    String toJson(Object value) { JsonOutput.toJson(value) }

    /** Gson reads every number as a double. */
    private static Object doubles(Object value) {
        switch (value) {
            case Map: return value.collectEntries { key, inner -> [key, doubles(inner)] }
            case List: return value.collect { doubles(it) }
            case Number: return value.doubleValue()
            default: return value
        }
    }
}

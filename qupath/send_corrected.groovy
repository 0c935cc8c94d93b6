/*
 * Writes the selected objects of the open image into a file for `wsi-seg train --init`: polygons
 * of a result that you have checked, and corrected where they were wrong.
 *
 * The file keeps what was sent before. An object that is sent again replaces what it was before.
 * For QuPath 0.5 to 0.8; part of wsi-seg, see docs/qupath.md.
 */
import static java.nio.file.StandardCopyOption.ATOMIC_MOVE
import static java.nio.file.StandardCopyOption.REPLACE_EXISTING
import static qupath.lib.scripting.QP.*

import java.nio.file.Files
import qupath.lib.io.GsonTools

// The folder for the files. A path starts from the project's folder.
def corrected = 'corrected'

def entry = getProjectEntry()
if (entry == null) {
    println 'NOT SENT: open an image of a project first'
    return
}
def image = entry.getOriginalImageName()
def links = getCurrentServer().getURIs()
if (links.size() != 1 || links.any { it.getScheme() != 'file' }) {
    println "NOT SENT: ${image}: is not read from one file on this computer, which `train` needs"
    return
}

// `train` finds an image by the name of its file of outlines, less what no file can be called.
def fileName = { it.getOriginalImageName().replaceAll('[\\\\/:*?"<>|]', '').trim() }
def alike = getProject().getImageList().findAll { fileName(it).equalsIgnoreCase(fileName(entry)) }
if (alike.size() > 1) {
    println "NOT SENT: ${image}: ${alike.size()} images of the project have this name: rename them"
    return
}

def selected = getSelectedObjects().findAll { it.isAnnotation() || it.isDetection() }
def classified = selected.findAll { it.getPathClass() != null }
if (classified.isEmpty()) {
    println "NOT SENT: ${image}: select the objects that you have checked, each with its class"
    return
}

// Gson reads each number as a double. Whole ones are written as whole: 255.0 is no part of a colour.
def whole
whole = { value ->
    if (value instanceof Map) {
        return value.collectEntries { key, inner -> [key, whole(inner)] }
    }
    if (value instanceof List) {
        return value.collect { whole(it) }
    }
    value instanceof Double && value == value.longValue() ? value.longValue() : value
}
def featuresOf = { path ->
    def features = GsonTools.getInstance().fromJson(path.toFile().getText('UTF-8'), Map).features
    if (!(features instanceof List)) {
        throw new IOException("${path} holds no features: move it away")
    }
    whole(features)
}
def file = getProject().getPath().resolveSibling(corrected).resolve(fileName(entry) + '.geojson')
def part = file.resolveSibling("${file.getFileName()}.part")
def kept = []
try {
    Files.createDirectories(file.getParent())
    exportObjectsToGeoJson(classified, part.toString(), 'FEATURE_COLLECTION')
    if (Files.exists(file)) {
        def sent = featuresOf(part)
        def sentIds = sent.collect { it.id } as Set
        kept = featuresOf(file).findAll { !sentIds.contains(it.id) }
        def all = [type: 'FeatureCollection', features: kept + sent]
        part.toFile().setText(GsonTools.getInstance().toJson(all), 'UTF-8')
    }
    Files.move(part, file, ATOMIC_MOVE, REPLACE_EXISTING)
} catch (IOException | RuntimeException error) {
    part.toFile().delete()
    println "NOT SENT: ${image}: ${file} cannot be written, or what was sent before cannot be read (${error})"
    return
}
println "${image}: sent: ${classified.size()}; sent before: ${kept.size()}; left out: " +
    "${selected.size() - classified.size()} without a class: ${file}"

/*
 * Writes the outlines that were drawn on an image into a file for `wsi-seg train`.
 * Run > Run for project does it for all images.
 *
 * Outlines are annotations with a class. Polygons imported from a result are left out, as they
 * are a network's opinion: send_corrected.groovy writes those that a person has checked.
 * For QuPath 0.5 to 0.8; part of wsi-seg, see docs/qupath.md.
 */
import static java.nio.file.StandardCopyOption.ATOMIC_MOVE
import static java.nio.file.StandardCopyOption.REPLACE_EXISTING
import static qupath.lib.scripting.QP.*

import java.nio.file.Files

// The folder for the files. A path starts from the project's folder.
def outlines = 'outlines'

def entry = getProjectEntry()
if (entry == null) {
    println 'NOT EXPORTED: open an image of a project first'
    return
}
def image = entry.getOriginalImageName()
def links = getCurrentServer().getURIs()
if (links.size() != 1 || links.any { it.getScheme() != 'file' }) {
    println "NOT EXPORTED: ${image}: is not read from one file on this computer, which `train` needs"
    return
}

// `train` finds an image by the name of its file of outlines, less what no file can be called.
def fileName = { it.getOriginalImageName().replaceAll('[\\\\/:*?"<>|]', '').trim() }
def alike = getProject().getImageList().findAll { fileName(it).equalsIgnoreCase(fileName(entry)) }
if (alike.size() > 1) {
    println "NOT EXPORTED: ${image}: ${alike.size()} images of the project have this name: rename them"
    return
}

def fromResult = { hasMeasurement(it, 'Label area um^2') }
def drawn = getAnnotationObjects().findAll { !fromResult(it) }
def classified = drawn.findAll { it.getPathClass() != null }
def file = getProject().getPath().resolveSibling(outlines).resolve(fileName(entry) + '.geojson')
if (classified.isEmpty()) {
    println "${image}: no outline with a class" +
        (Files.exists(file) ? "; ${file} is of an earlier export: delete it if it no longer holds" : '')
    return
}

def part = file.resolveSibling("${file.getFileName()}.part")
try {
    Files.createDirectories(file.getParent())
    exportObjectsToGeoJson(classified, part.toString(), 'FEATURE_COLLECTION')
    Files.move(part, file, ATOMIC_MOVE, REPLACE_EXISTING)
} catch (IOException error) {
    part.toFile().delete()
    println "NOT EXPORTED: ${image}: ${file} cannot be written (${error})"
    return
}
println "${image}: exported: ${classified.size()}; left out: " +
    "${drawn.size() - classified.size()} without a class, " +
    "${getAnnotationObjects().size() - drawn.size()} of a result: ${file}"

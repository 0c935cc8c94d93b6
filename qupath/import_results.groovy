/*
 * Imports the polygons of an image's result, with the colours of their classes.
 * Run > Run for project does it for all images.
 *
 * A polygon that is there already is not added again. Nothing is removed, and no object changed.
 * A result belongs to an image if its slide has the name of the image's file, and its size.
 * For QuPath 0.5 to 0.8; part of wsi-seg, see docs/qupath.md.
 */
import static qupath.lib.scripting.QP.*

import qupath.lib.io.GsonTools
import qupath.lib.io.PathIO

// The folder with the results. A path starts from the project's folder.
def results = 'results'

// Whether classes that QuPath knows already, such as its own Necrosis, get the result's colours.
def colours = true

// Whether to import even if polygons of another result are there, such as of an older model.
def besideOthers = false

def entry = getProjectEntry()
if (entry == null) {
    println 'NOT IMPORTED: open an image of a project first'
    return
}
def image = entry.getOriginalImageName()

def json = { file -> GsonTools.getInstance().fromJson(file.getText('UTF-8'), Map) }
def lastPart = { path -> path.tokenize('/\\').last() }

// What a result says of its labels, in OME-Zarr of NGFF 0.5 or 0.4.
def labelsOf = { result ->
    def tissue = new File(result, 'slide.ome.zarr/labels/tissue')
    def newer = new File(tissue, 'zarr.json')
    newer.isFile() ? json(newer).attributes.wsi_seg : json(new File(tissue, '.zattrs')).wsi_seg
}
def sizeOf = { result -> labelsOf(result).frames.bounds.with { [it.width as int, it.height as int] } }

// Results are named after images, with a number where images have the same name.
def isNamedAfterImage = { result ->
    def name = result.getName().minus("__${entry.getID()}")
    def own = image.replaceAll('[\\\\/:*?"<>|]', '_').trim()
    own == name || own.startsWith("${name}.")
}

def importResult = {
    def folder = getProject().getPath().resolveSibling(results).toFile()
    def server = getCurrentServer()
    def slides = server.getURIs().collect { lastPart(it.getPath() ?: it.toString()) }
    def ofSlide = (folder.listFiles() ?: []).findAll {
        def summary = new File(it, 'summary.json')
        summary.isFile() && lastPart(json(summary).slide) in slides
    }
    if (!ofSlide) {
        return "NOT IMPORTED: ${image}: ${folder} has no result of it: run predict.groovy"
    }
    def fitting = ofSlide.findAll { sizeOf(it) == [server.getWidth(), server.getHeight()] }
    if (!fitting) {
        return "NOT IMPORTED: ${image}: ${ofSlide[0]} is of an image of ${sizeOf(ofSlide[0]).join(' x ')} px"
    }
    def chosen = fitting.size() > 1 ? fitting.findAll { isNamedAfterImage(it) } : fitting
    if (chosen.size() != 1) {
        return "NOT IMPORTED: ${image}: ${fitting.size()} results are of its slide: ${fitting.join(', ')}"
    }
    def result = chosen[0]
    def polygons = ['slide.geojson.gz', 'slide.geojson'].collect { new File(result, it) }.find { it.isFile() }
    def record = new File(result, '.wsi-seg/record.json')
    if (polygons == null || !record.isFile() || json(record).progress != 'finished') {
        return "NOT IMPORTED: ${image}: ${result} is not finished: run predict.groovy, which continues it"
    }

    def read = PathIO.readObjects(polygons)
    def there = getAllObjects(false)
    def readIds = read.collect { it.getID() } as Set
    def thereIds = there.collect { it.getID() } as Set
    def others = there.findAll { hasMeasurement(it, 'Label area um^2') && !readIds.contains(it.getID()) }
    if (others && !besideOthers) {
        return "NOT IMPORTED: ${image}: polygons of another result are there (${others.size()}): send those " +
            'that you corrected with send_corrected.groovy, and delete them all; this selects them: ' +
            "selectObjects { hasMeasurement(it, 'Label area um^2') }"
    }
    if (colours) {
        def used = read.collect { it.getPathClass().toString() } as Set
        labelsOf(result).schema.classes.findAll { used.contains(it.name) }.each {
            def (red, green, blue) = it.color.collect { part -> part as int }
            getPathClass(it.name).setColor(red, green, blue)
        }
    }
    def added = read.findAll { !thereIds.contains(it.getID()) }
    addObjects(added)
    fireHierarchyUpdate()
    return "${image}: added: ${added.size()}; there before: ${read.size() - added.size()}: ${polygons}"
}

try {
    println importResult()
} catch (IOException | RuntimeException error) {
    println "NOT IMPORTED: ${image}: ${error}: `wsi-seg check ${results}` says what is damaged"
}

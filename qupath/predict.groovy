/*
 * Runs `wsi-seg predict` on an image. Run > Run for project does one image after the other.
 *
 * The result is named as by `wsi-seg predict project.qpproj`. A run that was interrupted
 * continues when it is run again. import_results.groovy imports the polygons.
 * For QuPath 0.5 to 0.8; part of wsi-seg, see docs/qupath.md.
 */
import static qupath.lib.scripting.QP.*

// The program. If it is not found, give its full path, as `which wsi-seg` prints it, such as
// ['/home/me/.venv/bin/wsi-seg']; on Windows ['wsl', '--exec', '/home/me/.venv/bin/wsi-seg'].
def program = ['wsi-seg']

// A model file, or the name of a built-in model; '' for the demo model. Paths start from the
// project's folder. Full paths on Windows are those in WSL: '/mnt/d/tumour/model.safetensors'.
def model = ''

// The folder for the results. Each model needs its own.
def results = 'results'

// More options, each word by itself, such as ['--min-area', '2000'].
def options = []

def entry = getProjectEntry()
if (entry == null) {
    println 'NOT SEGMENTED: open an image of a project first'
    return
}
def image = entry.getOriginalImageName()
def project = getProject().getPath().toAbsolutePath()
def arguments = ['predict', project.getFileName(), '--image', entry.getID(), '-o', results]
def command = (program + arguments + (model ? ['--model', model] : []) + options)*.toString()
println "${image}: ${command.join(' ')}"

def process
try {
    def builder = new ProcessBuilder(command).directory(project.getParent().toFile())
    process = builder.redirectErrorStream(true).start()
} catch (IOException error) {
    println "NOT SEGMENTED: ${image}: ${error.getMessage()}: correct `program` at the top of this script"
    return
}
process.getOutputStream().close()
def fault = ''
process.getInputStream().eachLine('UTF-8') { line ->
    println line
    if (line.startsWith('wsi-seg: ')) {
        fault = line.minus('wsi-seg: ')
    }
}
def code = process.waitFor()
println "${image}: " + (code == 0 ? 'segmented' : "PROBLEM: wsi-seg ended with exit code ${code}: ${fault}")

/* Runs scripts for QuPath one after another on stand-ins for its classes: `groovy run_steps.groovy PLAN OUTCOME`. */
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.nio.file.Paths
import qupath.lib.io.PathIO
import qupath.lib.scripting.Entry
import qupath.lib.scripting.PathClass
import qupath.lib.scripting.Project
import qupath.lib.scripting.QP
import qupath.lib.scripting.Server

def plan = new JsonSlurper().parse(new File(args[0]), 'UTF-8')
PathClass.of('Stroma', [150, 200, 150])  // one of QuPath's own

def entries = plan.images.collectEntries { image ->
    def uris = image.uris.collect { new URI(it) }
    def server = new Server(URIs: uris, width: image.size[0], height: image.size[1])
    [image.number, new Entry(ID: "${image.number}", originalImageName: image.name, server: server)]
}
def ofImage = [:].withDefault { [] }

def outcomes = plan.steps.collect { step ->
    QP.project = new Project(path: Paths.get(plan.project), imageList: entries.values() as List)
    QP.entry = entries[step.image]
    QP.objects = ofImage[step.image]
    if (step.draw) {
        QP.objects.addAll(PathIO.readObjects(new File(step.draw)))
    }
    QP.objects.removeAll { it.ID.toString() in (step.remove ?: []) }
    QP.objects.findAll { it.ID.toString() in (step.move ?: []) }.each { it.geometry = step.to }
    QP.selected = QP.objects.findAll { it.ID.toString() in (step.select ?: []) }

    def printed = new StringWriter()
    def binding = new Binding([out: new PrintWriter(printed, true)])
    def returned = new GroovyShell(this.class.classLoader, binding).evaluate(new File(step.script))
    [
        printed: printed.toString().readLines(),
        returned: returned,
        objects: QP.objects.collect { it.ID.toString() },
        geometries: QP.objects.collect { it.geometry },
        colours: PathClass.all.collectEntries { [it.key, it.value.rgb] },
    ]
}
new File(args[1]).setText(JsonOutput.toJson(outcomes), 'UTF-8')

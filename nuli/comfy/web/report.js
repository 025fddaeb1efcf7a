// Shows on a node what it reports when it is done. The page itself shows such text on nodes of its own only.
import { app } from "../../scripts/app.js";

const CATEGORY = "NUl Enhance";
const NAME = "nuli_report";
const HEIGHT = 64; // pixels that the box takes at least, about three lines; it grows with the node

// From the beginning, so that it lies above the preview, but without a height.
function addBox(node) {
    const box = document.createElement("div");
    box.hidden = true;
    Object.assign(box.style, {
        boxSizing: "border-box",
        padding: "4px 8px",
        overflowY: "auto",
        fontSize: "12px",
        lineHeight: "1.4",
        color: "var(--input-text)",
        background: "var(--comfy-input-bg)",
        borderRadius: "4px",
        whiteSpace: "pre-wrap",
        overflowWrap: "anywhere",
        userSelect: "text",
    });
    const height = () => (box.hidden ? 0 : HEIGHT);
    const widget = node.addDOMWidget(NAME, NAME, box, { serialize: false, getMinHeight: height });
    widget.serialize = false; // neither in the workflow nor in the prompt
}

function show(node, output) {
    const box = node.widgets?.find((one) => one.name === NAME)?.element;
    if (!box) return;
    box.textContent = (output?.text ?? []).join("\n");
    box.hidden = !box.textContent;
    const [width, height] = node.computeSize();
    node.setSize([Math.max(width, node.size[0]), Math.max(height, node.size[1])]);
    node.setDirtyCanvas(true, true);
}

app.registerExtension({
    name: "nuli.report",
    beforeRegisterNodeDef(nodeType, nodeData) {
        if (nodeData.category !== CATEGORY) return;
        const { onNodeCreated, onExecuted } = nodeType.prototype;
        nodeType.prototype.onNodeCreated = function () {
            onNodeCreated?.apply(this, arguments);
            addBox(this);
        };
        nodeType.prototype.onExecuted = function (output) {
            onExecuted?.apply(this, arguments);
            show(this, output);
        };
    },
    // A workflow comes back to the front: its nodes are made anew, what they gave is kept.
    onNodeOutputsUpdated(outputs) {
        const graph = app.rootGraph ?? app.graph;
        for (const [id, output] of Object.entries(outputs)) {
            const node = graph.getNodeById(id);
            if (node) show(node, output);
        }
    },
});

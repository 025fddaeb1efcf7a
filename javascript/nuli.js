// What the NUlIE tab does in the browser: the comparison of before and after, the list of steps, the picker of a
// neutral place. Everything is delegated: gradio redraws its components whenever it likes.
(() => {
    if (window.nuliReady) return;
    window.nuliReady = true;
    const HOLD = 220; // milliseconds until a press that doesn't move shows the original
    const MOVED = 4; // pixels from which a press is a drag
    const INTERVAL = 120; // milliseconds between two messages while a slider moves
    const LONGEST = 1500; // milliseconds after which an answer isn't waited for any longer

    const target = (event) => event.composedPath()[0];
    const isOurs = (element) => element instanceof Element && element.closest("#nuli_tab");
    const byId = (id) => document.getElementById(id) || document.querySelector("gradio-app")?.shadowRoot?.getElementById(id);
    const button = (id) => { const at = byId(id); return at?.matches("button") ? at : at?.querySelector("button"); };
    const seen = (element) => element && element.getClientRects().length > 0;

    function fill(id, text) {
        const field = byId(id)?.querySelector("textarea, input");
        if (!field) return;
        field.value = text;
        field.dispatchEvent(new Event("input", { bubbles: true }));
    }

    // Gradio takes a text over before it hears of the press.
    function tell(field, text, pressed) {
        fill(field, text);
        setTimeout(() => button(pressed)?.click(), 30);
    }

    // Before and after -------------------------------------------------------------------------------------------
    let at = 50; // percent of the picture that shows the original; kept when a preview is replaced
    let original = false;
    let picking = false;

    // On the root: gradio redraws the picture, and would lose what stands there.
    const root = document.documentElement;
    function place() {
        root.style.setProperty("--nuli-at", `${at}%`);
        for (const handle of document.querySelectorAll(".nuli-handle")) handle.value = at;
    }

    function showOriginal(on) {
        original = on;
        root.classList.toggle("nuli-original", on);
    }

    function pick(on) {
        picking = on;
        root.classList.toggle("nuli-picking", on);
        button("nuli_pick")?.setAttribute("aria-pressed", String(on));
    }

    document.addEventListener("input", (event) => {
        const handle = target(event);
        if (!(handle instanceof Element) || !handle.matches(".nuli-handle")) return;
        at = Number(handle.value);
        place();
        event.stopPropagation(); // not one of gradio's own
    }, true);

    let press = null; // { left, width, x, timer, drags } while a pointer is down on a picture
    const slide = (event) => {
        at = Math.round(1000 * Math.min(1, Math.max(0, (event.clientX - press.left) / press.width))) / 10;
        place();
    };

    document.addEventListener("pointerdown", (event) => {
        const box = target(event) instanceof Element && target(event).closest(".nuli-compare");
        if (!box || event.button !== 0 || !event.isPrimary) return;
        const { left, top, width, height } = box.getBoundingClientRect();
        if (picking) {
            const parts = [(event.clientX - left) / width, (event.clientY - top) / height];
            pick(false);
            tell("nuli_messages", parts.map((part) => Math.min(1, Math.max(0, part)).toFixed(4)).join(","), "nuli_picked");
            return;
        }
        press = { left, width, x: event.clientX, drags: false, timer: setTimeout(() => showOriginal(true), HOLD) };
    });
    document.addEventListener("pointermove", (event) => {
        if (!press || !event.isPrimary || original) return;
        if (!press.drags && Math.abs(event.clientX - press.x) < MOVED) return;
        press.drags = true;
        clearTimeout(press.timer);
        slide(event);
    });
    const release = (event) => {
        if (!press || !event.isPrimary) return;
        clearTimeout(press.timer);
        if (event.type === "pointerup" && !press.drags && !original) slide(event); // a click: the line goes there
        press = null;
        showOriginal(false);
    };
    document.addEventListener("pointerup", release);
    document.addEventListener("pointercancel", release); // the browser scrolls
    document.addEventListener("contextmenu", (event) => {
        if (press && target(event).closest?.(".nuli-compare")) event.preventDefault(); // a long touch
    });

    const types = (element) => element?.matches?.("textarea, select, [contenteditable], input:not([type=range], [type=checkbox], [type=radio])");
    document.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && picking) pick(false);
        if (event.key.toLowerCase() !== "o" || event.ctrlKey || event.altKey || event.metaKey) return;
        if (types(target(event)) || ![...document.querySelectorAll(".nuli-compare")].some(seen)) return;
        showOriginal(true);
    });
    document.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "o") showOriginal(false); });
    window.addEventListener("blur", () => showOriginal(false));

    // Another picture, dropped on the one that is there: its place is cleared first, then it takes files again.
    document.addEventListener("dragover", (event) => {
        if (target(event).closest?.(".nuli-figure")) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
        const file = event.dataTransfer?.files?.[0];
        if (!file || !target(event).closest?.(".nuli-figure")) return;
        event.preventDefault();
        button("nuli_other")?.click();
        const end = Date.now() + LONGEST * 4;
        const put = () => {
            const input = byId("nuli_image")?.querySelector("input[type=file]");
            if (!input || document.querySelector(".nuli-compare")) return Date.now() < end && setTimeout(put, 50);
            const files = new DataTransfer();
            files.items.add(file);
            input.files = files.files;
            input.dispatchEvent(new Event("change", { bubbles: true }));
        };
        put();
    });

    // A mask, painted over the picture -----------------------------------------------------------------------------
    const COLOUR = "#ff5500"; // only where there is paint counts
    let stroke = null; // { canvas, x, y } while a pointer paints

    function paint(event) {
        const { canvas } = stroke;
        const { left, top, width, height } = canvas.getBoundingClientRect();
        const x = (event.clientX - left) / width * canvas.width, y = (event.clientY - top) / height * canvas.height;
        const painter = canvas.closest(".nuli-painter"), on = canvas.getContext("2d");
        on.globalCompositeOperation = painter.querySelector(".nuli-erase").checked ? "destination-out" : "source-over";
        on.strokeStyle = COLOUR;
        on.lineCap = "round";
        // in hundredths of the long side
        on.lineWidth = painter.querySelector(".nuli-brush-size").value / 100 * Math.max(canvas.width, canvas.height);
        on.beginPath();
        on.moveTo(stroke.x ?? x, stroke.y ?? y);
        on.lineTo(x, y);
        on.stroke();
        [stroke.x, stroke.y] = [x, y];
    }
    document.addEventListener("pointerdown", (event) => {
        const canvas = target(event);
        if (!(canvas instanceof Element) || !canvas.matches(".nuli-painted canvas")) return;
        if (event.button !== 0 || !event.isPrimary) return;
        event.preventDefault();
        stroke = { canvas };
        paint(event);
    });
    document.addEventListener("pointermove", (event) => { if (stroke && event.isPrimary) paint(event); });
    for (const end of ["pointerup", "pointercancel"]) {
        document.addEventListener(end, (event) => { if (event.isPrimary) stroke = null; });
    }
    // The strokes as a picture, for gradio; "" where there is no painter.
    window.nuliPainted = () => byId("nuli_painter")?.querySelector("canvas")?.toDataURL() || "";

    // The list of steps --------------------------------------------------------------------------------------------
    let waiting = 0; // until when the answer to the last message is waited for
    let timer = 0;
    const pending = new Map(); // the latest of each slider and switch

    function send() {
        timer = 0;
        if (Date.now() < waiting) return later();
        waiting = Date.now() + LONGEST;
        tell("nuli_messages", JSON.stringify([...pending.values()]), "nuli_acted");
        pending.clear();
    }
    const later = () => { timer ||= setTimeout(send, INTERVAL); };

    function queue(key, message) {
        pending.set(key, message);
        later();
    }

    const stepOf = (element) => Number(element.closest(".nuli-step").dataset.step);

    const isFirst = (slider) => Number(slider.value) === Number(slider.dataset.first);
    const finest = (slider) => Math.max(0, -Math.floor(Math.log10(Number(slider.dataset.step)) + 1e-9));

    function words(slider) {
        const { words, decimals, sign, suffix } = slider.dataset;
        if (isFirst(slider)) return words;
        const exact = String(Number(Number(slider.value).toFixed(finest(slider))));
        const text = exact.length > Number(slider.value).toFixed(decimals).length ? exact : Number(slider.value).toFixed(decimals);
        return `${sign && Number(text) > 0 ? sign : ""}${text.replace(/^-(0(\.0+)?)$/, "$1")}${suffix}`;
    }

    function moved(slider) {
        const step = Number(slider.dataset.step);
        // its positions, and the value that it began with besides
        if (!isFirst(slider)) slider.value = (Math.round(Number(slider.value) / step) * step).toFixed(finest(slider));
        const output = slider.nextElementSibling;
        output.value = words(slider);
        output.classList.toggle("nuli-changed", !isFirst(slider));
        slider.setAttribute("aria-valuetext", output.value);
        const [i, j] = [stepOf(slider), Number(slider.dataset.param)];
        queue(`${i} ${j}`, ["value", i, j, Number(slider.value)]);
    }

    document.addEventListener("input", (event) => {
        const slider = target(event);
        if (!(slider instanceof Element) || !slider.matches(".nuli-value")) return;
        event.stopPropagation();
        moved(slider);
    }, true);
    document.addEventListener("keydown", (event) => {
        const slider = target(event);
        if (!(slider instanceof Element) || !slider.matches(".nuli-value")) return;
        const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
        if (!by) return;
        event.preventDefault(); // a range without steps would move by a hundredth of its length
        slider.value = Number(slider.value) + by * Number(slider.dataset.step);
        moved(slider);
    });
    document.addEventListener("dblclick", (event) => {
        const slider = target(event);
        if (!(slider instanceof Element) || !slider.matches(".nuli-value")) return;
        slider.value = slider.dataset.first;
        moved(slider);
    });
    document.addEventListener("change", (event) => {
        const box = target(event);
        if (!(box instanceof Element) || !box.matches(".nuli-on")) return;
        event.stopPropagation();
        queue(`${stepOf(box)} on`, ["on", stepOf(box), box.checked]);
    }, true);
    document.addEventListener("click", (event) => {
        const lock = target(event) instanceof Element && target(event).closest(".nuli-lock");
        if (!lock) return;
        const on = lock.getAttribute("aria-pressed") !== "true";
        lock.setAttribute("aria-pressed", String(on));
        tell("nuli_messages", JSON.stringify([["lock", lock.dataset.op, on]]), "nuli_locked");
    });

    // Buttons -------------------------------------------------------------------------------------------------------
    let sending = null; // the host's button that waits for the picture at full size
    document.addEventListener("click", (event) => {
        const pressed = target(event) instanceof Element && target(event).closest("button");
        if (!pressed || !isOurs(pressed)) return;
        if (pressed === button("nuli_pick")) pick(!picking);
        if (pressed.closest("#nuli_send") && !seen(byId("nuli_result"))) {
            event.preventDefault();
            event.stopImmediatePropagation();
            sending = pressed;
            button("nuli_full")?.click();
        }
    }, true);
    window.nuliRendered = () => {
        const pressed = sending;
        sending = null;
        setTimeout(() => { if (pressed && seen(byId("nuli_result"))) pressed.click(); }, 100);
    };

    // A server that was started again, as by a WebUI's Reload UI, knows nothing of this page, and gradio would let it
    // wait for ever. The number of the server's pages tells: asked for at a press, and while something is waited for.
    let asked = 0;
    let first; // the number when this page was loaded; gradio 3 doesn't write it into the page
    async function checkServer() {
        const { root: base, api_prefix: prefix } = window.gradio_config || {};
        if (Date.now() - asked < 900 || byId("nuli_restarted")) return;
        asked = Date.now();
        const answer = await fetch(base ? `${base}${prefix || ""}/app_id` : "app_id").catch(() => null); // null: not up yet
        const now = answer?.ok ? (await answer.json().catch(() => ({}))).app_id : undefined;
        first ??= now;
        if (first === undefined || (now === undefined && answer?.status !== 401) || now === first) return;
        const [line, text, again] = ["div", "span", "button"].map((name) => document.createElement(name));
        Object.assign(line, { id: "nuli_restarted", className: "nuli-status error" });
        line.setAttribute("role", "alert");
        text.textContent = "The server was started again: load this page again.";
        again.textContent = "Load again";
        again.addEventListener("click", () => location.reload());
        line.append(text, " ", again);
        byId("nuli_tab")?.prepend(line);
    }
    document.addEventListener("click", (event) => { if (isOurs(target(event))) setTimeout(checkServer, 1000); }, true);
    window.addEventListener("focus", checkServer);
    window.addEventListener("load", checkServer);
    setInterval(() => { if (document.querySelector("#nuli_tab .nuli-status:is(.busy, :has(progress))")) checkServer(); }, 5000);

    // Gradio 3's sliders tell of a change only when a pointer lets go of them.
    let keys;
    const amounts = "#nuli_amounts input";
    const released = (element) => element.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
    document.addEventListener("keyup", (event) => {
        const input = target(event);
        if (!isOurs(input) || !input.matches(`${amounts}[type=range]`)) return;
        if (!/^(Arrow|Page|Home|End)/.test(event.key)) return;
        clearTimeout(keys); // several presses in a row are one change
        keys = setTimeout(() => released(input), 150);
    });
    document.addEventListener("change", (event) => {
        const input = target(event);
        if (!isOurs(input) || !input.matches(`${amounts}[type=number]`)) return;
        const range = input.closest(".block")?.querySelector("input[type=range]");
        if (range) setTimeout(() => released(range), 50); // gradio takes the number over first
    });
    // As it was found, by a double click.
    document.addEventListener("dblclick", (event) => {
        const range = target(event);
        if (!isOurs(range) || !range.matches(`${amounts}[type=range]`)) return;
        range.value = 1;
        range.dispatchEvent(new Event("input", { bubbles: true }));
        released(range);
    });

    // Gradio 3's numbers beside sliders have no name of their own.
    function nameNumbers() {
        for (const number of document.querySelectorAll("#nuli_tab input[type=number]:not([aria-label])")) {
            const name = number.labels.length ? "" : number.closest(".block")?.querySelector("label, span")?.innerText;
            if (name) number.setAttribute("aria-label", name.trim());
        }
    }

    // Gradio names the pictures of a gallery "Thumbnail 1 of 3"; their captions tell them apart.
    function nameResults() {
        for (const result of document.querySelectorAll("#nuli_gallery button[aria-label]:has(.caption-label)")) result.removeAttribute("aria-label");
    }

    nameNumbers(); // those that were here before this script

    // What gradio redraws starts where it stood.
    let focused = "";
    document.addEventListener("focusin", (event) => {
        const id = target(event).id || "";
        focused = target(event).closest?.("#nuli_list") ? id : "";
    });
    new MutationObserver((changes) => {
        for (const { type, target: changed, addedNodes } of changes) {
            const nodes = type === "attributes" ? [changed] : [...addedNodes].filter((node) => node instanceof Element);
            const has = (selector) => nodes.some((node) => node.matches(selector) || node.querySelector(selector));
            if (has(".nuli-after, .nuli-status.error")) waiting = 0;
            if (type === "childList" && has(".nuli-handle")) place();
            if (type === "childList" && has("input[type=number]")) nameNumbers();
            if (type === "childList" && has(".caption-label")) nameResults();
            if (focused && document.activeElement === document.body && has(".nuli-step")) byId(focused)?.focus();
        }
    }).observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ["src"] });
})();

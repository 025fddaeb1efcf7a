// Small comforts of the NUlIE tab: the slider between before and after, and sliders that answer the keyboard.
// Everything is delegated: gradio redraws its components whenever it likes.
(() => {
    if (window.nuliReady) return;
    window.nuliReady = true;
    let at = 50; // percent of the picture that shows the original; kept when a preview is replaced
    const target = (event) => event.composedPath()[0];
    const isOurs = (element) => element instanceof Element && element.closest("#nuli_tab");

    function place(box) {
        box.style.setProperty("--nuli-at", `${at}%`);
        const handle = box.querySelector(".nuli-handle");
        if (handle && handle.value !== String(at)) handle.value = at;
    }

    document.addEventListener("input", (event) => {
        const handle = target(event);
        if (!(handle instanceof Element) || !handle.matches(".nuli-handle")) return;
        at = Number(handle.value);
        place(handle.parentElement);
        event.stopPropagation(); // not one of gradio's own
    }, true);

    // Gradio's sliders tell of a change only when a pointer lets go of them.
    let pending;
    const released = (element) => element.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
    document.addEventListener("keyup", (event) => {
        const input = target(event);
        if (!isOurs(input) || !input.matches("input[type=range]:not(.nuli-handle)")) return;
        if (!/^(Arrow|Page|Home|End)/.test(event.key)) return;
        clearTimeout(pending); // several presses in a row are one change
        pending = setTimeout(() => released(input), 150);
    });
    document.addEventListener("change", (event) => {
        const input = target(event);
        const numbers = ".nuli-step input[type=number], #nuli_strength input[type=number]";
        if (!isOurs(input) || !input.matches(numbers)) return;
        const range = input.closest(".block")?.querySelector("input[type=range]");
        if (range) setTimeout(() => released(range), 50); // gradio takes the number over first
    });

    // A new preview starts where the old one's slider stood.
    new MutationObserver((changes) => {
        for (const { addedNodes } of changes) {
            for (const node of addedNodes) {
                if (!(node instanceof Element)) continue;
                if (node.matches(".nuli-compare")) place(node);
                else node.querySelectorAll(".nuli-compare").forEach(place);
            }
        }
    }).observe(document.documentElement, { childList: true, subtree: true });
})();

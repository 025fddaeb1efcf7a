// The page in the reader's language, by the dictionaries in localizations/: all of the stand-alone page, for which
// `nuli ui` sets `window.nuliLanguages`. A WebUI translates whole texts by itself; here follows what it leaves in our
// tab: texts with figures in them, and what dropdowns show.
(() => {
    const all = window.nuliLanguages || {};
    const alone = Boolean(window.nuliLanguages);
    const hosts = window.localization;
    const asked = window.nuliLanguage ? [window.nuliLanguage] : navigator.languages;
    const primary = (tag) => tag.toLowerCase().split(/[-_]/)[0];
    let words = !alone && hosts && Object.keys(hosts).length ? hosts : null;
    for (const tag of alone ? asked : []) {
        if (primary(tag) === "en") break;
        const found = Object.keys(all).find((name) => primary(name) === primary(tag));
        if (found) {
            words = all[found];
            document.documentElement.lang = found.replace("_", "-");
            break;
        }
    }
    if (!words) return;
    const attributes = ["title", "placeholder", "aria-label", "aria-valuetext"];
    const exact = (text) => (Object.hasOwn(words, text) && words[text] ? words[text] : undefined);
    const quoted = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    // "{} tried": a text with figures or names in it
    const templates = Object.keys(words).filter((key) => key.includes("{}"))
        .map((key) => [new RegExp(`^${key.split("{}").map(quoted).join("(.+?)")}$`), words[key]]);

    function piece(text) {
        const [, number, rest] = /^(\d+) (.+)$/.exec(text) || [];
        const whole = exact(text) ?? (rest && exact(rest) && `${number} ${exact(rest)}`);
        if (whole) return whole;
        for (const [pattern, said] of templates) {
            const found = pattern.exec(text);
            if (found) return found.slice(1).reduce((made, part) => made.replace("{}", () => exact(part) ?? part), said);
        }
        return undefined;
    }

    function known(text) {
        const said = text?.trim();
        if (!said || said.length > 500) return undefined;
        const whole = piece(said);
        if (whole !== undefined || !said.includes(" · ")) return whole;
        return said.split(" · ").map((part) => piece(part) ?? part).join(" · ");
    }

    const ours = (node) => alone || (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest("#nuli_tab");

    // A dropdown shows its value in another language; gradio, which sets and reads it, sees its own.
    const native = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
    function translateValue(input) {
        if (Object.hasOwn(input, "value")) return;
        let [real, shown] = ["", ""];
        Object.defineProperty(input, "value", {
            configurable: true,
            get() { const now = native.get.call(this); return now === shown ? real : now; },
            set(value) {
                [real, shown] = [value, known(String(value ?? "")) ?? value ?? ""];
                native.set.call(this, shown);
            },
        });
        input.value = native.get.call(input);
    }

    function translateText(node) {
        if (["SCRIPT", "STYLE", "TEXTAREA"].includes(node.parentElement?.nodeName)) return;
        const said = known(node.data);
        if (said !== undefined && said !== node.data) node.data = said;
    }

    function translateElement(element) {
        if (element.matches(".wrap-inner input")) translateValue(element);
        for (const name of attributes) {
            const said = known(element.getAttribute(name));
            if (said !== undefined && said !== element.getAttribute(name)) element.setAttribute(name, said);
        }
    }

    function translate(node) {
        if (!ours(node) && !node.querySelector?.("#nuli_tab")) return;
        if (node.nodeType === Node.TEXT_NODE) translateText(node);
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        translateElement(node);
        const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
        while (walk.nextNode()) {
            if (!ours(walk.currentNode)) continue;
            if (walk.currentNode.nodeType === Node.TEXT_NODE) translateText(walk.currentNode);
            else translateElement(walk.currentNode);
        }
    }

    new MutationObserver((changes) => {
        for (const { type, target, addedNodes } of changes) {
            if (type === "childList") addedNodes.forEach(translate);
            else if (!ours(target)) continue;
            else if (type === "attributes") translateElement(target);
            else translateText(target);
        }
    }).observe(document.documentElement, { childList: true, subtree: true, characterData: true, attributeFilter: attributes });
    translate(document.documentElement);
})();

// The stand-alone page in the reader's language, by the dictionaries in localizations/. A WebUI brings its own script
// for them; without `window.nuliLanguages`, which only `nuli ui` sets, nothing happens here.
(() => {
    const all = window.nuliLanguages;
    if (!all) return;
    const asked = window.nuliLanguage ? [window.nuliLanguage] : navigator.languages;
    const primary = (tag) => tag.toLowerCase().split(/[-_]/)[0];
    let words = null;
    for (const tag of asked) {
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
    const known = (text) => (text && Object.hasOwn(words, text.trim()) ? words[text.trim()] : undefined);

    function translateText(node) {
        if (["SCRIPT", "STYLE", "TEXTAREA"].includes(node.parentElement?.nodeName)) return;
        const said = known(node.data);
        if (said !== undefined && said !== node.data) node.data = said;
    }

    function translateElement(element) {
        for (const name of attributes) {
            const said = known(element.getAttribute(name));
            if (said !== undefined && said !== element.getAttribute(name)) element.setAttribute(name, said);
        }
    }

    function translate(node) {
        if (node.nodeType === Node.TEXT_NODE) translateText(node);
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        translateElement(node);
        const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
        while (walk.nextNode()) {
            if (walk.currentNode.nodeType === Node.TEXT_NODE) translateText(walk.currentNode);
            else translateElement(walk.currentNode);
        }
    }

    new MutationObserver((changes) => {
        for (const { type, target, addedNodes } of changes) {
            if (type === "childList") addedNodes.forEach(translate);
            else if (type === "attributes") translateElement(target);
            else translateText(target);
        }
    }).observe(document.documentElement, { childList: true, subtree: true, characterData: true, attributeFilter: attributes });
    translate(document.documentElement);
})();

// The host calls switch_to_<tab> once a picture was sent there.
function switch_to_nuli() {
    const tabs = gradioApp().querySelector('#tabs');
    const pages = Array.from(tabs.querySelectorAll(':scope > .tabitem'));
    const named = tabs.querySelector('button[aria-controls="tab_nuli"]'); // gradio 4
    const button = named || tabs.querySelectorAll(':scope > .tab-nav > button')[pages.findIndex((page) => page.id === 'tab_nuli')];
    if (button) button.click();
    return Array.from(arguments);
}

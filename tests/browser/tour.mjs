// A tour of the tab in a real browser: node tour.mjs URL PICTURE [SCREENSHOT.png]
// Needs playwright-core and axe-core (npm) and Chromium; see run.sh.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [url, picture, screenshot] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
});
const errors = [];
const { host } = new URL(url);

async function open(options) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, ...options });
    const page = await context.newPage();
    page.on('pageerror', (error) => errors.push(error.message));
    await page.route('**/*', (route) => { // nothing but the server itself: the tour works without a network
        const asked = new URL(route.request().url());
        return asked.host === host || !asked.protocol.startsWith('http') ? route.continue() : route.abort();
    });
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    await page.waitForSelector('#nuli_enhance', { timeout: 60000 });
    return page;
}

let failed = 0;
function check(what, ok, more = '') {
    failed += ok ? 0 : 1;
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${what} ${more}`);
}

async function until(what, test, milliseconds = 30000) {
    const start = Date.now();
    while (Date.now() - start < milliseconds) {
        const value = await test();
        if (value) return value;
        await page.waitForTimeout(80);
    }
    check(what, false, 'timed out');
}

// What gradio itself draws and we can't name or colour: its own upload and brush tools, its file lists, its tab list.
const GRADIOS = ['.source-selection', '.icon-button-wrapper', '.icon-buttons', '.tab-nav', '.tab-container', '.tab-wrapper',
    '#nuli_editor', '#nuli_lut_file', '#nuli_batch_files', '#nuli_image button', '#nuli_mask button', '#nuli_match button',
    '.wrap-inner', 'input[type=file]'];

async function audit(where) {
    await page.evaluate(axe);
    const found = await page.evaluate((exclude) => window.axe.run({ include: ['#nuli_tab'], exclude },
        { resultTypes: ['violations'] }), GRADIOS.map((one) => [one]));
    const bad = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    const told = bad.flatMap(({ id, nodes }) => nodes.slice(0, 4).map((node) => `\n       ${id}: ${node.html.slice(0, 160)} ${(node.any[0] || node.all[0] || node.none[0])?.message || ''}`));
    check(`axe finds nothing serious, ${where}`, bad.length === 0, told.join(''));
}

let page = await open({});
const text = (selector) => page.locator(selector).innerText().then((t) => t.replace(/\s+/g, ' ').trim(), () => '');
const status = () => text('#nuli_status .nuli-status');
const said = (where = 'said') => text(`#nuli_${where} .nuli-status`);
const after = () => page.locator('#nuli_compare .nuli-after').getAttribute('src', { timeout: 2000 }).catch(() => '');
const steps = () => page.locator('.nuli-step:visible');
const box = () => page.locator('#nuli_compare .nuli-compare');
const disabled = (name) => page.locator(`#nuli_${name}`).evaluate((e) => (e.matches('button') ? e : e.querySelector('button')).disabled);

async function changesPicture(what, act) {
    const before = await after();
    await act();
    const changed = await until(what, async () => { const now = await after(); return now && now !== before; });
    if (changed) check(what, true, await status());
    await page.waitForTimeout(600);
}

async function press(locator, key, times) {
    await locator.focus();
    for (let i = 0; i < times; i++) await page.keyboard.press(key);
}

async function put(file) {
    const input = page.locator('#nuli_image input[type=file]').first();
    await input.evaluate((e) => { e.value = ''; }); // as a click there does, else the same file again is no change
    await input.setInputFiles(file);
}

async function shoot(name) {
    if (screenshot) await page.screenshot({ path: screenshot.replace(/\.png$/, `${name}.png`), fullPage: true });
}

try {
    await page.waitForTimeout(1000);
    const names = ['enhance', 'save', 'undo', 'copy', 'paste', 'clear', 'add', 'pick', 'full', 'other'];
    const inactive = await Promise.all(names.map(disabled));
    check('nothing is active before there is a picture', inactive.every(Boolean), names.filter((_, i) => !inactive[i]).join());
    await audit('empty');
    await put({ name: 'bad.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
    check('a bad file is told of', await until('told', async () => /the picture: no picture/.test(await status())), await status());
    await page.locator('#nuli_image button[aria-label="Clear"], #nuli_image button[aria-label="Remove Image"]').first().click();
    await until('cleared', async () => !(await status()));

    // three clicks: the picture, Enhance, Save
    await put(picture);
    check('a picture is opened', await until('opened', async () => /Ready/.test(await status())));
    await page.locator('#nuli_enhance').click();
    await until('soft', async () => /Score.*→/.test(await status()));
    await page.locator('#nuli_save').click();
    check('saved with three clicks', await until('saved', async () => /saved as/.test(await said())), await said());

    // the steps
    await until('steps', () => steps().count());
    await page.waitForTimeout(500);
    const slider = steps().locator('.nuli-value').first();
    const shown = () => steps().locator('output').first().innerText();
    const found = await shown();
    await changesPicture("a step's slider by keyboard", () => press(slider, 'ArrowLeft', 12));
    check('its words follow', (await shown()) !== found, `${found}, then ${await shown()}`);
    await changesPicture('reset by double click', () => slider.dblclick());
    check('as the search found it', (await shown()) === found && /→/.test(await status()), await shown());
    const bar = await slider.boundingBox();
    await page.mouse.move(bar.x + bar.width / 2, bar.y + bar.height / 2);
    await changesPicture('a slider tells of its way while it is dragged', async () => {
        await page.mouse.down();
        for (const part of [0.4, 0.3, 0.2]) await page.mouse.move(bar.x + bar.width * part, bar.y + bar.height / 2, { steps: 4 });
    });
    await page.mouse.up();
    await page.waitForTimeout(800);
    await changesPicture('a step switched off', () => steps().locator('.nuli-on').first().click());
    await changesPicture('undo', () => page.locator('#nuli_undo').click());
    await page.waitForTimeout(500);
    check('undone in the list too', await steps().locator('.nuli-on').first().isChecked());
    await changesPicture('an amount', () => press(page.locator('#nuli_strength input[type=range]'), 'ArrowLeft', 8));
    await steps().locator('.nuli-lock').first().click();
    await page.waitForTimeout(1000);
    await audit('with steps');

    // before and after
    const at = () => page.evaluate(() => parseFloat(document.documentElement.style.getPropertyValue('--nuli-at')));
    const original = () => page.evaluate(() => document.documentElement.classList.contains('nuli-original'));
    await press(page.locator('#nuli_compare .nuli-handle'), 'ArrowRight', 10);
    check('before and after by keyboard', (await at()) > 50, await at());
    const place = await box().boundingBox();
    const move = (x, y, more) => page.mouse.move(place.x + place.width * x, place.y + place.height * y, more);
    await move(0.5, 0.5);
    await page.mouse.down();
    await move(0.2, 0.5, { steps: 5 });
    await page.mouse.up();
    check('before and after by pointer', Math.abs((await at()) - 20) < 1, await at());
    await move(0.7, 0.5);
    await page.mouse.down();
    await page.waitForTimeout(400);
    const held = await original();
    await page.mouse.up();
    check('held, the picture shows the original', held && !(await original()) && Math.abs((await at()) - 20) < 1);
    await page.locator('#nuli_enhance').focus();
    await page.keyboard.down('o');
    const keyed = await original();
    await page.keyboard.up('o');
    check('so does the key', keyed && !(await original()));
    await page.locator('#nuli_files').getByText('Recipe and files').click();
    await page.locator('#nuli_recipe textarea').focus();
    await page.keyboard.down('o');
    check('not where somebody writes', !(await original()));
    await page.keyboard.up('o');
    await page.locator('#nuli_recipe textarea').fill('');

    // copy and paste, a neutral place, errors beside their button
    await page.locator('#nuli_apply').click();
    check('an error stands by its button', await until('error', async () => /the recipe is empty/.test(await said('recipe_said'))), await said('recipe_said'));
    await page.locator('#nuli_copy').click();
    const line = await until('copied', async () => { const l = await page.locator('#nuli_recipe textarea').inputValue(); return /^nuli1 /.test(l) && l; });
    const before = await steps().count();
    await changesPicture('copied steps are pasted', () => page.locator('#nuli_paste').click());
    check('after those that are there', (await steps().count()) === before + line.split(' ').length - 1, `${await steps().count()}`);
    await changesPicture('undone', () => page.locator('#nuli_undo').click());
    await page.locator('#nuli_pick').click();
    const { width, height } = await box().boundingBox();
    await changesPicture('a neutral place', () => box().click({ position: { x: width * 0.3, y: height * 0.3 } }));
    await page.waitForTimeout(500);
    check('is a step that comes first', /temperature|tint/.test(await steps().first().innerText()), await steps().first().innerText());

    const locked = () => page.locator('#nuli_lock').evaluate((e) => e.innerText.replace(/\s+/g, ' '));
    await page.locator('#nuli_more').getByText('More', { exact: true }).click();
    await page.waitForTimeout(500);
    const op = (await page.locator('.nuli-lock[aria-pressed=true]').first().getAttribute('data-op'));
    check('a lock is an option of the next search', (await locked()).includes(op), `${op}: ${await locked()}`);

    // presets
    await page.locator('#nuli_preset input').click();
    await page.getByRole('option', { name: 'natural', exact: true }).click().catch(() => page.locator('ul.options li', { hasText: 'natural' }).first().click());
    check('a preset fills the controls', await until('filled', async () => (await page.locator('#nuli_strength input[type=number]').inputValue()) === '0.7'));
    await audit('with everything open');
    await shoot('');

    // a mask: painted from side to side, inside its box
    await page.locator('#nuli_second').getByText('Mask and reference').first().click();
    check('no painter before painting begins', (await page.locator('#nuli_tab canvas').count()) === 0);
    await page.locator('#nuli_paint').click();
    const canvas = page.locator('#nuli_painter canvas').first();
    await canvas.waitFor();
    await canvas.scrollIntoViewIfNeeded();
    const [sheet, panel] = await Promise.all([canvas.boundingBox(), page.locator('#nuli_second').first().boundingBox()]);
    check('the painter fits its box', sheet.x >= panel.x && sheet.x + sheet.width <= panel.x + panel.width, `${sheet.width} px in ${panel.width}`);
    await page.mouse.move(sheet.x + sheet.width * 0.02, sheet.y + sheet.height / 2);
    await page.mouse.down();
    await page.mouse.move(sheet.x + sheet.width * 0.98, sheet.y + sheet.height / 2, { steps: 6 });
    await page.mouse.up();
    const painted = await canvas.evaluate((e) => [0.1, 0.9].every((x) => e.getContext('2d').getImageData(e.width * x, e.height / 2, 1, 1).data[3]));
    check('painted from side to side', painted);
    await page.locator('#nuli_use_painted').click();
    check('what is painted is the mask', await until('mask', async () => (await page.locator('#nuli_mask img').count()) && !(await page.locator('#nuli_painter canvas').count())));
    await page.waitForTimeout(3000); // it is taken over
    await page.locator('#nuli_mask button[aria-label="Clear"], #nuli_mask button[aria-label="Remove Image"]').first().click();
    await page.waitForTimeout(3000);

    // hard mode searches long enough to be watched and stopped
    await page.locator('#nuli_mode').getByText('hard', { exact: true }).click();
    await page.locator('#nuli_seconds input[type=number]').fill('60');
    await page.locator('#nuli_seconds input[type=number]').blur();
    await page.locator('#nuli_enhance').click();
    const live = await until('progress', async () => (/left.*tried/.test(await said()) ? said() : ''));
    check('progress is told', !!live, live);
    await until('a hundred tried', async () => +((await said()).match(/(\d+) tried/) || [])[1] >= 100, 55000);
    await page.locator('#nuli_stop').click();
    check('Stop keeps the best', await until('stopped', async () => !(await said()) && /Score.*→/.test(await status())), await status());
    const offered = page.locator('#nuli_gallery button:has(img)');
    const results = await until('gallery', () => offered.count());
    check('hard mode offers several', results > 1, `${results}`);
    await page.waitForTimeout(500);
    const cut = await offered.evaluateAll((all) => all.map((one) => one.querySelector('img')).filter((img) => {
        const { width, height } = img.getBoundingClientRect();
        return Math.abs(width / height - img.naturalWidth / img.naturalHeight) > 0.05 && getComputedStyle(img).objectFit !== 'contain';
    }).length);
    check('whole pictures', cut === 0, `${cut} cut`);
    await shoot('-hard');
    await changesPicture('another one is picked', () => offered.nth(1).click());
    await page.locator('#nuli_full').click();
    check('full size', await until('full', () => page.locator('#nuli_result img').isVisible()));
    await page.locator('#nuli_other').click();
    check('another picture', await until('empty', async () => !(await box().count()) && (await disabled('enhance'))));

    await page.waitForTimeout(1000);
    await put(picture);
    await until('active', async () => (await box().count()) && !(await disabled('other')));
    const first = await after();
    await page.evaluate((bytes) => { // as if a file were dropped on the picture
        const dropped = new DataTransfer();
        dropped.items.add(new File([new Uint8Array(bytes)], 'dropped.jpg', { type: 'image/jpeg' }));
        const event = new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: dropped });
        document.querySelector('.nuli-compare').dispatchEvent(event);
    }, [...await readFile(new URL('../photo.jpg', import.meta.url))]);
    check('a picture dropped on the picture', await until('dropped', async () => (await after()) && (await after()) !== first));

    // the language is the browser's
    page = await open({ locale: 'de-DE' });
    check('German', await until('German', async () => /Verbessern/.test(await text('#nuli_enhance'))), await text('#nuli_basics'));
    const seen = (id) => page.locator(`${id} input`).first().evaluate((e) => Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').get.call(e));
    const values = [await seen('#nuli_preset'), await seen('#nuli_add_name')];
    check("a dropdown's value in German", values.join() === 'keine,Belichtung', values.join());
    page = await open({ locale: 'ja-JP', viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true });
    check('Japanese', await until('Japanese', async () => /補正/.test(await text('#nuli_enhance'))), await text('#nuli_basics'));
    await put(picture);
    await until('opened', () => box().count());
    await page.waitForTimeout(1000);
    await audit('on a phone, dark');
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    check('nothing is wider than the phone', wide <= 390, `${wide} px`);
    await shoot('-phone');
} catch (error) {
    check('the tour', false, error.message.slice(0, 600));
}
check('no script failed', errors.length === 0, errors.join('; '));
await browser.close();
process.exit(failed ? 1 : 0);

// A tour of the tab in a real browser: node tour.mjs URL PICTURE [SCREENSHOT.png]
// Needs playwright-core (npm) and Chromium; see run.sh.
import { chromium } from 'playwright-core';

const [url, picture, screenshot] = process.argv.slice(2);
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
const errors = [];
page.on('pageerror', (error) => errors.push(error.message));
const { host } = new URL(url);
await page.route('**/*', (route) => { // nothing but the server itself: the tour works without a network
    const asked = new URL(route.request().url());
    return asked.host === host || !asked.protocol.startsWith('http') ? route.continue() : route.abort();
});

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

const text = (selector) => page.locator(selector).innerText().then((t) => t.replace(/\s+/g, ' '));
const status = () => text('#nuli_status .nuli-status');
const after = () => page.locator('#nuli_compare .nuli-after').getAttribute('src');
const steps = () => page.locator('.nuli-step:visible');

async function changesPicture(what, act) {
    const before = await after();
    await act();
    check(what, await until(what, async () => (await after()) !== before), await status());
    await page.waitForTimeout(600);
}

async function press(locator, key, times) {
    await locator.focus();
    for (let i = 0; i < times; i++) await page.keyboard.press(key);
}

try {
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    await page.waitForSelector('#nuli_enhance', { timeout: 60000 });
    const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        page.locator('#nuli_image').getByText(/click to upload/i).first().click(),
    ]);
    await chooser.setFiles({ name: 'bad.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
    check('a bad file is told of', await until('told', async () => /the picture: no picture/.test(await status())), await status());
    await page.locator('#nuli_image button[aria-label="Clear"], #nuli_image button[aria-label="Remove Image"]').first().click();
    await until('cleared', async () => /No picture yet/.test(await status()));
    const [another] = await Promise.all([
        page.waitForEvent('filechooser'),
        page.locator('#nuli_image').getByText(/click to upload/i).first().click(),
    ]);
    await another.setFiles(picture);
    check('a picture is opened', await until('opened', async () => /Ready/.test(await status())));

    // hard mode searches long enough to be watched and stopped
    await page.locator('#nuli_mode').getByText('hard', { exact: true }).click();
    await page.locator('#nuli_seconds input[type=number]').fill('60');
    await page.locator('#nuli_seconds input[type=number]').blur();
    await page.locator('#nuli_enhance').dblclick(); // the second click must change nothing
    const live = await until('progress', async () => (/left.*tried/.test(await status()) ? status() : ''));
    check('progress is told', !!live, live);
    await until('a hundred tried', async () => +((await status()).match(/(\d+) tried/) || [])[1] >= 100, 55000);
    await page.locator('#nuli_stop').click();
    check('Stop keeps the best', await until('stopped', async () => /Score by.*→/.test(await status())), await status());

    const offered = page.locator('#nuli_gallery button:has(img)');
    const results = await until('gallery', () => offered.count());
    check('hard mode offers several', results > 1, `${results}`);
    await page.setViewportSize({ width: 1280, height: 600 }); // a laptop's
    await page.waitForTimeout(500);
    const hidden = await offered.last().evaluate((last) => {
        const { bottom } = last.getBoundingClientRect();
        for (let box = last.parentElement; box && box.id !== 'nuli_tab'; box = box.parentElement) {
            const cut = bottom - box.getBoundingClientRect().bottom;
            if (getComputedStyle(box).overflowY !== 'visible' && cut > 1) return cut;
        }
        return 0;
    });
    check('all of the last row is seen', hidden === 0, `${hidden} px hidden`);
    if (screenshot) await page.screenshot({ path: screenshot.replace(/\.png$/, '-low.png'), fullPage: true });
    await page.setViewportSize({ width: 1280, height: 1000 });
    if (screenshot) await page.screenshot({ path: screenshot.replace(/\.png$/, '-hard.png'), fullPage: true });
    await changesPicture('another one is picked', () => offered.nth(1).click());

    await page.locator('#nuli_mode').getByText('soft', { exact: true }).click();
    await page.locator('#nuli_seconds input[type=number]').fill('0');
    await page.locator('#nuli_seconds input[type=number]').blur();
    await page.locator('#nuli_enhance').click();
    check('soft mode', await until('soft', async () => /Score by tone.*→/.test(await status())), await status());
    await page.waitForTimeout(1500); // the rows follow
    const count = await steps().count();
    check('its steps are shown', count > 0, `${count}`);

    const range = steps().locator('input[type=range]').first();
    await changesPicture("a step's slider", () => press(range, 'ArrowLeft', 12));
    await changesPicture('a step switched off', () => steps().locator('input[type=checkbox]').first().click());
    await changesPicture('undo', () => page.locator('#nuli_undo').click());
    await changesPicture('strength', () => press(page.locator('#nuli_strength input[type=range]'), 'ArrowLeft', 8));

    const handle = page.locator('#nuli_compare .nuli-handle');
    const at = () => page.locator('#nuli_compare .nuli-compare').evaluate((e) => e.style.getPropertyValue('--nuli-at'));
    await press(handle, 'ArrowRight', 10);
    check('before and after by keyboard', parseFloat(await at()) > 50, await at());
    if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });

    await page.locator('#nuli_save').click();
    check('saved', await until('saved', async () => /saved as/.test(await status())), await status());
} catch (error) {
    check('the tour', false, error.message.slice(0, 600));
}
check('no script failed', errors.length === 0, errors.join('; '));
await browser.close();
process.exit(failed ? 1 : 0);

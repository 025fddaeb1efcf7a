// Visitors of the tab, for bench/soak.py: node soak.mjs URL FOLDER MINUTES [PAGES] [SEED] [LARGE PICTURE]
// Each opens the page, works on pictures of the folder, stops some searches, leaves or reloads in the midst of others,
// runs a batch, and goes; then the next one comes. What they did goes to the standard output, a JSON object a line.
// With MINUTES 0 one of them enhances one picture; with "reload" the WebUI's "Reload UI" is pressed before that.
// Needs playwright-core (npm) and Chromium, as run.sh.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [url, folder, minutes, pages = '1', seed = '0', large] = process.argv.slice(2);
const pictures = (await readdir(folder)).sort().map((name) => join(folder, name));
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
});
const { host } = new URL(url);
const sleep = (seconds) => new Promise((done) => { setTimeout(done, 1000 * seconds); });
const tell = (fields) => console.log(JSON.stringify(fields));

function random(state) { // mulberry32: Math.random takes no seed
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

class Visitor {
    constructor(number) {
        this.number = number;
        this.random = random(1000 * Number(seed) + number);
    }

    pick(all) { return all[Math.floor(this.random() * all.length)]; }

    async timed(what, act) {
        const start = Date.now();
        let error = null;
        try {
            await act();
        } catch (caught) {
            error = caught.message.slice(0, 1500);
        }
        tell({ what, seconds: (Date.now() - start) / 1000, error });
        if (error) throw new Error(error);
    }

    text(selector) { return this.page.locator(selector).first().innerText({ timeout: 2000 }).then((t) => t.replace(/\s+/g, ' '), () => ''); }

    async until(test, seconds = 90) {
        for (const end = Date.now() + 1000 * seconds; Date.now() < end; await sleep(0.25)) {
            const value = await test();
            if (value) return value;
        }
        throw new Error(`timed out: ${await this.text('#nuli_status')} | ${await this.text('#nuli_said')}`);
    }

    async open() {
        const context = await browser.newContext({ viewport: { width: 1000, height: 800 }, reducedMotion: 'reduce' });
        context.setDefaultTimeout(90000);
        this.page = await context.newPage();
        this.page.on('pageerror', (error) => tell({ what: 'a script failed', seconds: 0, error: error.message.slice(0, 1500) }));
        await this.page.route('**/*', (route) => { // nothing but the server itself
            const asked = new URL(route.request().url());
            return asked.host === host || !asked.protocol.startsWith('http') ? route.continue() : route.abort();
        });
        await this.timed('open', () => this.page.goto(url, { waitUntil: 'domcontentloaded' }).then(() => this.arrive()));
    }

    async arrive() {
        await this.page.waitForSelector('#nuli_enhance', { state: 'attached', timeout: 90000 });
        await sleep(2);
        await this.tab('NUl Enhance'); // of a WebUI
        await this.page.waitForSelector('#nuli_enhance', { timeout: 30000 });
    }

    tab(title, within = 'body') {
        return this.page.evaluate(([place, t]) => {
            const named = [...document.querySelectorAll(`${place} button`)].filter((b) => b.textContent.trim() === t);
            // gradio 5 and newer have each once more, to measure it
            (named.find((b) => b.getAttribute('role') === 'tab') || named[0])?.click();
        }, [within, title]);
    }

    leave() { return this.page.context().close(); }

    async put(picture) {
        await this.timed('picture', async () => {
            if (await this.page.locator('#nuli_compare .nuli-compare').count()) {
                await this.page.locator('#nuli_other').click();
                await this.until(async () => !(await this.page.locator('#nuli_compare .nuli-compare').count()));
                await sleep(0.5);
            }
            const input = this.page.locator('#nuli_image input[type=file]').first();
            await input.evaluate((e) => { e.value = ''; }); // as a click there does, else the same file again is no change
            await input.setInputFiles(picture);
            await this.until(async () => /Ready/.test(await this.text('#nuli_status')));
            await this.until(() => this.page.locator('#nuli_enhance').evaluate((e) => !(e.matches('button') ? e : e.querySelector('button')).disabled));
        });
    }

    mode(name) { return this.page.locator('#nuli_mode').getByText(name, { exact: true }).click(); }

    start() { return this.page.locator('#nuli_enhance').click(); }

    async finished() {
        // refused is told of too, and is no lost job
        const said = await this.until(async () => {
            const [status, said] = [await this.text('#nuli_status'), await this.text('#nuli_said')];
            return (/too much work/.test(said) && 'refused') || (/^ ?Score/.test(status) && !said.trim() && 'found');
        });
        if (said === 'refused') tell({ what: 'refused: too much work', seconds: 0, error: null });
        return said === 'found';
    }

    async searching() {
        await this.until(async () => /tried|waiting|starting|^ ?Score/.test(`${await this.text('#nuli_said')}${await this.text('#nuli_status')}`));
        await sleep(this.random() * 2);
    }

    enhance(name) {
        return this.timed(`page ${name}`, async () => {
            await this.mode(name);
            await this.start();
            if (!(await this.finished())) await sleep(5);
        });
    }

    async stopped() {
        await this.mode('hard');
        await this.start();
        await this.searching();
        await this.timed('page Stop', async () => {
            if (await this.page.locator('#nuli_stop').isVisible()) { // it goes with the end of the search
                await this.page.locator('#nuli_stop').click({ timeout: 5000 }).catch(() => {});
            }
            await this.until(async () => !/tried|stopping|waiting for|starting/.test(await this.text('#nuli_said')));
        });
    }

    async work() {
        await this.enhance(this.pick(['soft', 'soft', 'hard']));
        if (this.random() < 0.4) {
            await this.timed('page Save', async () => {
                await this.page.locator('#nuli_save').click();
                await this.until(async () => /saved as/.test(await this.text('#nuli_said')));
            });
        }
        if (this.random() < 0.3) {
            await this.timed('page full size', async () => {
                await this.page.locator('#nuli_full').click();
                await this.until(() => this.page.locator('#nuli_result img').first().isVisible());
            });
        }
        if (this.random() < 0.3) await this.page.locator('#nuli_undo').click();
    }

    async batch(leaves) {
        await this.tab('Batch', '#nuli_tab');
        await this.page.locator('#nuli_batch_files input[type=file]').first().setInputFiles([this.pick(pictures), this.pick(pictures), this.pick(pictures)]);
        await sleep(3); // uploaded
        const status = () => this.text('#nuli_batch_status');
        const begin = async () => {
            await this.page.locator('#nuli_batch_start').click();
            await this.until(async () => /of 3|done|waiting|too much/.test(await status()));
        };
        if (leaves) return begin();
        await this.timed('page batch of 3', async () => {
            await begin();
            const said = await this.until(async () => { const s = await status(); return /\d+ done|too much/.test(s) && !/ of /.test(s) && s; }, 180);
            if (/too much/.test(said)) tell({ what: 'refused: too much work', seconds: 0, error: null });
            else if (!/^ ?[123] done/.test(said)) throw new Error(said);
        });
    }

    async visit() {
        await this.open();
        for (const what of [this.pick(['work', 'stop']), this.pick(['work', 'reload', 'leave', 'batch', 'leave batch'])]) {
            if (!what.endsWith('batch')) await this.put(this.pick(pictures));
            if (what === 'work') await this.work();
            if (what === 'stop') await this.stopped();
            if (what.endsWith('batch')) await this.batch(what.startsWith('leave'));
            if (what === 'reload' || what === 'leave') {
                await this.mode('hard');
                await this.start();
                await this.searching();
            }
            if (what === 'reload') {
                await this.timed('reload in a search', async () => { await this.page.reload({ waitUntil: 'domcontentloaded' }); await this.arrive(); });
                await this.put(this.pick(pictures));
                await this.work();
            }
            if (what.startsWith('leave')) tell({ what: `closed in a ${what === 'leave' ? 'search' : 'batch'}`, seconds: 0, error: null });
            await sleep(2 + 4 * this.random());
        }
    }

    async repeat(end) {
        while (Date.now() < end) {
            try {
                await this.visit();
            } catch (error) { // told where it came up; other errors are of this script's own steps
                tell({ what: 'a visit broke off', seconds: 0, error: error.message.slice(0, 1500) });
            }
            await this.leave().catch(() => {});
            await sleep(5 + 10 * this.random());
        }
    }
}

async function reload(visitor) {
    await visitor.timed('Reload UI', async () => {
        await visitor.page.evaluate(() => document.querySelector('#settings_restart_gradio').click());
        await sleep(3);
        await visitor.until(() => fetch(new URL('config', url)).then((answer) => answer.ok, () => false));
    });
    await visitor.leave();
    await visitor.open();
}

let failed = false;
if (Number(minutes) > 0) {
    const visitors = Array.from({ length: Number(pages) }, (_, i) => new Visitor(i + 1));
    // what visitors who have gone had before them is kept, up to a limit: it is reached at the start
    for (let i = 0; large && i < 16; i++) {
        await visitors[0].open();
        await visitors[0].put(large);
        await visitors[0].leave();
    }
    const end = Date.now() + 60000 * Number(minutes);
    await Promise.all(visitors.map(async (visitor, i) => { await sleep(2 * i); await visitor.repeat(end); }));
} else {
    const visitor = new Visitor(0);
    try {
        await visitor.open();
        if (minutes === 'reload') await reload(visitor);
        await visitor.put(pictures[0]);
        await visitor.enhance('soft');
    } catch (error) {
        failed = true;
    }
}
await browser.close();
process.exit(failed ? 1 : 0);

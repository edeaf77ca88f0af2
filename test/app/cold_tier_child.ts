/** A process that brings a key back, says how far it is, and goes on when it is told to, or is killed. */
import { ColdTier } from '../../src/app/cold_tier.ts';
import { openApp } from '../../src/app/open.ts';
import { manualClock } from '../../src/base/clock.ts';
import { stopping } from './cold_tier_stages.ts';

const [projectDir, viewId, key, nowUs] = process.argv.slice(2) as [string, string, string, string];
const app = await openApp({ projectDir, clock: manualClock(Number(nowUs)) });
const { registry } = app;
const { idleViews } = await import('../../src/app/eviction.ts');
const view = idleViews(await registry.load()).find(({ program }) => program.id === viewId)!;
const tier = new ColdTier(
  stopping(app, async (stage) => {
    const goOn = new Promise((go) => process.once('message', go));
    process.send!(stage);
    await goOn;
  }),
);
await tier.bringBack(view.program, Uint8Array.fromHex(key));
process.send!('back');
await app.close();
process.disconnect!();

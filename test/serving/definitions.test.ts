import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '../../src/base/clock.ts';
import { catalogAt, currentCatalog } from '../../src/plan/index.ts';
import type { Registry } from '../../src/registry/contract.ts';
import { openSqliteRegistry } from '../../src/registry/sqlite.ts';
import { Definitions } from '../../src/serving/definitions.ts';
import { step } from '../conformance/registry.ts';
import { customer } from '../registry/objects.ts';

const CATALOGS = {
  current: currentCatalog,
  ofService: (registered: Parameters<typeof catalogAt>[0], name: string, version: number) =>
    catalogAt(registered, { kind: 'featureService', name, version }),
};

/** A registry over a network that can be lost, and that tells when it has moved. */
async function remote() {
  const store = await openSqliteRegistry(':memory:');
  const told: (() => void)[] = [];
  let [connected, asked] = [true, 0];
  const registry = new Proxy(store, {
    get(target, name: keyof Registry) {
      if (name === 'connection') return () => ({ connected, lost: 0 });
      if (name === 'onMoved') return (moved: () => void) => told.push(moved);
      if (name !== 'head') return (target[name] as () => unknown).bind(target);
      return async () => {
        asked++;
        return target.head();
      };
    },
  }) as Registry;
  return {
    store,
    registry,
    asked: () => asked,
    tell: () => {
      for (const moved of told) moved();
    },
    connect: (is: boolean) => {
      connected = is;
    },
  };
}

test('a registry that is lost is asked nothing: what is held is answered from', async () => {
  const { store, registry, connect, asked } = await remote();
  const clock = manualClock(0);
  const definitions = new Definitions(registry, CATALOGS, clock, 1000);
  assert.equal((await definitions.newest()).head, 0);
  await store.apply(step(0, [customer]));
  connect(false);
  clock.advanceUs(5e6);
  const before = asked();
  assert.ok(!(definitions.newest() instanceof Promise));
  assert.equal(asked(), before);
  connect(true);
  assert.equal((await definitions.newest()).head, 1);
  await store.close();
});

test('a registry that tells that it has moved is looked at before anybody asks', async () => {
  const { store, registry, tell, asked } = await remote();
  const definitions = new Definitions(registry, CATALOGS, manualClock(0), 1000);
  tell();
  assert.equal(asked(), 0, 'who has not begun to serve has nothing to bring up to date');
  assert.equal((await definitions.newest()).head, 0);
  await store.apply(step(0, [customer]));
  assert.equal((await definitions.newest()).head, 0, 'nobody has looked');
  tell();
  while (asked() < 2) await new Promise(setImmediate);
  await definitions.refresh();
  const revision = definitions.newest();
  assert.ok(!(revision instanceof Promise));
  assert.equal(revision.head, 1);
  await store.close();
});

/** An online store with some of its methods replaced. */
import type { OnlineStore, PageKey } from '../online/contract.ts';

/** The store, with `instead` in place of its own methods. */
export function changedStore(online: OnlineStore, instead: Partial<OnlineStore>): OnlineStore {
  const versions = online.versions?.bind(online);
  return {
    heads: (keys) => online.heads(keys),
    ...(versions === undefined ? {} : { versions }),
    blocks: (key, blocks) => online.blocks(key, blocks),
    compareAndSet: (writes) => online.compareAndSet(writes),
    fence: () => online.fence(),
    scan: (view, after) => online.scan(view, after),
    size: (view) => online.size(view),
    dropView: (view) => online.dropView(view),
    getMeta: (name) => online.getMeta(name),
    putMeta: (name, value) => online.putMeta(name, value),
    close: () => online.close(),
    ...instead,
  };
}

/** The store, with `onWritten` told of the pages that are written through it, also where the store cannot say whether they were. */
export function toldWrites(
  online: OnlineStore,
  onWritten: (keys: readonly PageKey[]) => void,
): OnlineStore {
  return changedStore(online, {
    compareAndSet: (writes) => online.compareAndSet(writes).finally(() => onWritten(writes)),
  });
}

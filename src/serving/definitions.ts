/** What is registered, compiled once per revision: with what was answered from it the server's only cache. */

import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { Catalog, Member } from '../model/definitions.ts';
import { membersFor, suggestion } from '../model/index.ts';
import type { Registered, Registry } from '../registry/contract.ts';
import { type Columns, columnsOf } from './answer.ts';
import { type Asked, namesIn, resolveAsked } from './asked.ts';
import { RememberedAnswers } from './remembered.ts';
import { compileMembers, type ServiceProgram } from './service_program.ts';
import { Staleness } from './staleness.ts';

/** How registered versions become catalogs; injected, because pinning is the plan's business. */
export interface Catalogs {
  /** The definitions as they are now. */
  current(registered: readonly Registered[]): Catalog;
  /** One version of a service, with the versions that it pins. */
  ofService(registered: readonly Registered[], name: string, version: number): Catalog;
}

/** A service, or a list of features that is read like one. */
export interface Chosen {
  /** The definitions at the versions to use. */
  readonly catalog: Catalog;
  readonly members: readonly Member[];
  /** Null for a list. */
  readonly service: { readonly name: string; readonly version: number } | null;
  readonly program: ServiceProgram;
  readonly columns: Columns;
}

/** One revision of the registry. What is compiled from it is kept until the next. */
export class Revision {
  readonly head: number;
  readonly registered: readonly Registered[];
  readonly catalog: Catalog;
  readonly #catalogs: Catalogs;
  readonly #services = new Map<string, Chosen>();
  readonly #lists = new Map<string, Chosen>();
  readonly #asked = new Map<string, Asked>();
  /** Of those, the ones that were asked first: most clients ask for few lists. */
  readonly #first: { entity: string; features: string; asked: Asked }[] = [];
  readonly #hasPromises: boolean;
  #staleness: Staleness;
  #remembered = new RememberedAnswers();

  constructor(head: number, registered: readonly Registered[], catalogs: Catalogs) {
    this.head = head;
    this.registered = registered;
    this.#catalogs = catalogs;
    this.catalog = catalogs.current(registered);
    this.#staleness = new Staleness(registered, [], 0);
    this.#hasPromises = registered.some(
      ({ definition }) =>
        definition.kind === 'featureView' &&
        [definition, ...definition.features].some(({ freshnessUs }) => freshnessUs !== null),
    );
  }

  /** Of plain reads, by URL. */
  get remembered(): RememberedAnswers {
    return this.#remembered;
  }

  /** Which promises of freshness were broken when the registry was last asked. */
  get staleness(): Staleness {
    return this.#staleness;
  }

  /** Asks how promises are kept, where there are any. */
  async lookAtPromises(registry: Registry, clock: Clock): Promise<void> {
    if (!this.#hasPromises) return;
    const levels = await registry.serviceLevels();
    const now = new Staleness(this.registered, levels, clock.nowUs());
    // What was answered before may now be marked, withheld or refused, or be so no more.
    if (!now.isLike(this.#staleness)) this.#remembered = new RememberedAnswers();
    this.#staleness = now;
  }

  /** A service as `name` (the current version) or `name@version`. Throws `serving/unknown-service`. */
  service(ref: string): Chosen {
    let service = this.#services.get(ref);
    if (service === undefined) {
      const { name, version } = this.#findService(ref);
      const catalog = this.#catalogs.ofService(this.registered, name, version);
      service = chosen(catalog, catalog.featureServices[name]!.members, { name, version });
      this.#services.set(ref, service);
    }
    return service;
  }

  /**
   * Features as `view:feature`, separated by commas, in that order; with `fullNames` each is put out as `view__feature`. Throws
   * `model/bad-ref`, `model/unknown-…`, what a plan refuses, and `serving/bad-field` and `serving/too-many-features`.
   */
  list(features: string, fullNames: boolean): Chosen {
    const key = `${fullNames}\n${features}`;
    let list = this.#lists.get(key);
    if (list === undefined) {
      const members = membersFor(this.catalog, namesIn(features)).map((member) =>
        fullNames ? { ...member, as: `${member.view}_` } : member,
      );
      list = chosen(this.catalog, members, null);
      keep(this.#lists, key, list);
    }
    return list;
  }

  #findService(ref: string): { name: string; version: number } {
    const [, name, version] = /^([^@]*)(?:@(\d{1,9}))?$/.exec(ref) ?? [];
    const services = this.registered.filter(({ kind }) => kind === 'featureService');
    const versions = services.filter((service) => service.name === name);
    const found = versions.find((service) =>
      version === undefined ? service.state === 'current' : service.version === Number(version),
    );
    if (found !== undefined) return found;
    const known = versions.map((service) => service.version).join(', ');
    throw new SamewiseError(
      'serving/unknown-service',
      `there is no feature service ${JSON.stringify(ref)}`,
      {
        where: { field: 'service' },
        hint:
          known === ''
            ? suggestion(name ?? ref, [...new Set(services.map((service) => service.name))])
            : `versions of ${name} that are kept: ${known}`,
      },
    );
  }

  /** Features of one entity by `view:feature` or bare name, separated by commas. Throws as `resolveAsked`. */
  asked(entity: string, features: string): Asked {
    // To compare a few texts is less than to put one together and to look for it in a map.
    for (let i = 0; i < this.#first.length; i++) {
      const first = this.#first[i]!;
      if (first.features === features && first.entity === entity) return first.asked;
    }
    const key = `${entity}\n${features}`;
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked = resolveAsked(this.catalog, entity, features);
      keep(this.#asked, key, asked);
      if (this.#first.length < FIRST_LISTS) this.#first.push({ entity, features, asked });
    }
    return asked;
  }
}

function chosen(catalog: Catalog, members: readonly Member[], service: Chosen['service']): Chosen {
  const program = compileMembers(catalog, members, service?.name, service?.version);
  return { catalog, members, service, program, columns: columnsOf(program) };
}

const MAX_KEPT_LISTS = 1000;
const FIRST_LISTS = 8;

/** Clients ask the same few lists again and again; whoever does not must not fill the memory. */
function keep<T>(lists: Map<string, T>, key: string, list: T): void {
  if (lists.size >= MAX_KEPT_LISTS) lists.clear();
  lists.set(key, list);
}

/** Knows the newest revision: the registry is asked at most every `refreshMs`, and tells of itself where its store does. */
export class Definitions {
  readonly #registry: Registry;
  readonly #catalogs: Catalogs;
  readonly #clock: Clock;
  readonly #refreshMs: number;
  #revision: Revision | null = null;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #loading: Promise<Revision> | null = null;

  constructor(registry: Registry, catalogs: Catalogs, clock: Clock, refreshMs: number) {
    this.#registry = registry;
    this.#catalogs = catalogs;
    this.#clock = clock;
    this.#refreshMs = refreshMs;
    registry.onMoved(async () => {
      if (this.#revision === null) return;
      // What is being loaded may be older. Whatever goes wrong, whoever asks next is told.
      await Promise.allSettled([this.#loading]);
      await Promise.allSettled([this.refresh()]);
    });
  }

  /** The revision to answer from; a promise only where the registry is asked. One that is away is waited for by nobody. */
  newest(): Revision | Promise<Revision> {
    const held = this.#revision;
    if (held === null) return this.refresh();
    const fresh = this.#clock.monotonicMs() - this.#checkedMs < this.#refreshMs;
    return fresh || !this.#registry.connection().connected ? held : this.#refreshOr(held);
  }

  /** The newest revision; the one that is held where the registry is lost just now. */
  async #refreshOr(held: Revision): Promise<Revision> {
    try {
      return await this.refresh();
    } catch (error) {
      if (this.#registry.connection().connected) throw error;
      return held;
    }
  }

  /** Asks the registry now, for instance after a definition was applied. */
  refresh(): Promise<Revision> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #load(): Promise<Revision> {
    const checkedMs = this.#clock.monotonicMs();
    const head = await this.#registry.head();
    const revision =
      this.#revision?.head === head
        ? this.#revision
        : new Revision(head, await this.#registry.load(), this.#catalogs);
    await revision.lookAtPromises(this.#registry, this.#clock);
    this.#revision = revision;
    this.#checkedMs = checkedMs;
    return revision;
  }
}

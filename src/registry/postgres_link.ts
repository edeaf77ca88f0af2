/** The way to a database: a few connections that are replaced when they are lost or silent, and calls that end in time. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import postgres, { type Options, type ReservedSql, type Sql } from 'postgres';
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import { codedPostgresError, isLost, wasNotSent } from './postgres_errors.ts';

/** Whole numbers of 64 bits are instants, counts and sizes here: all are safe as JS numbers. */
const TYPES = {
  bigint: { to: 20, from: [20], parse: Number, serialize: String },
};
export type Database = Sql<{ bigint: number }>;
export type Transaction = ReservedSql<{ bigint: number }>;

type Environment = Readonly<Record<string, string | undefined>>;

/** `url` as libpq takes it, with or without slashes. What it does not say, PGHOST, PGUSER, PGPASSWORD and so on do. */
export interface PostgresOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly environment: Environment;
}

/** How long a call waits for the database, also where it is being restarted, before it is `registry/unreachable`. */
const PATIENCE_MS = 5_000;
const REST_MS = 200;

export interface Call {
  /** Which failures of the way are tried again; `lost` for what may be done twice. Default: `unsent`. */
  readonly again?: 'never' | 'unsent' | 'lost';
  /** How long it may take. Default: PATIENCE_MS. */
  readonly patienceMs?: number;
  /** How long it is tried again. Default: PATIENCE_MS. */
  readonly againMs?: number;
}

/** It did not answer in time, whatever it may have done. */
export class SilentError extends SamewiseError {
  constructor(name: string) {
    super('registry/unreachable', `the registry ${name} does not answer`, {
      hint: 'check that it runs, and the network in between',
    });
  }
}

export class PostgresLink {
  /** For people: without a password. */
  readonly name: string;
  readonly #url: string;
  readonly #environment: Environment;
  readonly #clock: Clock;
  readonly #ssl: ReturnType<typeof sslOf>;
  #sql: Database;
  #closed = false;

  /** Throws `registry/bad-url`. Opens no connection yet. */
  constructor({ url, clock, environment }: PostgresOptions) {
    const [place, query] = url.replace(/^postgres(ql)?:(\/\/)?/, 'postgres://').split('?');
    const options = new URLSearchParams(query);
    this.#environment = environment;
    this.#clock = clock;
    this.#ssl = sslOf(options, environment, () => this.#sql.options.host);
    for (const name of ['sslmode', 'sslrootcert']) options.delete(name);
    this.#url = `${place}?${options}`;
    this.#sql = this.#connect();
    const { host, port, database } = this.#sql.options;
    this.name = `postgres://${host.map((name, i) => `${name}:${port[i]}`).join(',')}/${database}`;
  }

  /** Calls `heard` whenever somebody says something on a channel, and `listening` whenever the way there has been made anew. */
  async listen(channel: string, heard: () => void, listening: () => void): Promise<void> {
    await this.call((sql) => sql.listen(channel, heard, listening));
  }

  /** Runs `body`; failures of the way or of the database are coded. */
  async call<T>(body: (sql: Database) => PromiseLike<T>, options: Call = {}): Promise<T> {
    const { again = 'unsent', patienceMs = PATIENCE_MS, againMs = PATIENCE_MS } = options;
    const startMs = this.#clock.monotonicMs();
    const elapsedMs = () => this.#clock.monotonicMs() - startMs;
    for (;;) {
      try {
        return await this.#within(patienceMs - elapsedMs(), body);
      } catch (error) {
        const retried = again === 'lost' ? isLost(error) : wasNotSent(error);
        if (again === 'never' || !retried || this.#closed || elapsedMs() + REST_MS >= againMs)
          throw codedPostgresError(error, this.name);
        await new Promise((resolve) => setTimeout(resolve, REST_MS));
      }
    }
  }

  /**
   * Runs `body` in a transaction on a connection of its own, which ends with it: what was not committed the server undoes. The library's
   * own transactions write to connections that are gone, and the process dies of it.
   */
  transaction<T>(
    mode: string,
    body: (tx: Transaction) => Promise<T>,
    options: Call = {},
  ): Promise<T> {
    return this.call(async () => {
      let isOpen = true;
      const sql = this.#connect({
        max: 1,
        onclose: () => {
          isOpen = false;
        },
      });
      try {
        const tx = new Proxy(await sql.reserve(), {
          apply: (statement, self, args) => {
            if (!isOpen) throw Object.assign(new Error('lost'), { code: 'CONNECTION_CLOSED' });
            return Reflect.apply(statement, self, args);
          },
        });
        await tx.unsafe(`begin ${mode}`);
        const result = await body(tx);
        await tx`commit`;
        return result;
      } finally {
        void sql.end({ timeout: 0 }).catch(() => {});
      }
    }, options);
  }

  /** Gives up connections that do not answer any more. Listeners have to listen again. */
  renew(): void {
    const silent = this.#sql;
    this.#sql = this.#connect();
    void silent.end({ timeout: 0 }).catch(() => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#sql.end({ timeout: 1 });
  }

  #connect(own: Options<typeof TYPES> = {}): Database {
    const options: Options<typeof TYPES> = {
      types: TYPES,
      max: 2,
      idle_timeout: 60,
      connect_timeout: PATIENCE_MS / 1000,
      backoff: () => REST_MS / 1000,
      ssl: this.#ssl,
      onnotice: () => {},
      connection: { application_name: this.#environment.PGAPPNAME ?? 'samewise' },
      ...own,
    };
    try {
      return postgres(this.#url, options) as unknown as Database;
    } catch (cause) {
      // The library's own words would show the URL, and it may hold a password.
      if (!(cause instanceof TypeError)) throw cause;
      throw new SamewiseError('registry/bad-url', 'the URL of the registry cannot be read', {
        hint: 'write it as postgres://<user>@<host>:<port>/<database>, the password in PGPASSWORD',
      });
    }
  }

  async #within<T>(ms: number, body: (sql: Database) => PromiseLike<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new SilentError(this.name)), Math.max(0, ms));
    try {
      return await Promise.race([body(this.#sql), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Of a host that is an address the library says no name, and Node would take the certificate of any localhost for it. */
function identityError(hosts: readonly string[], host: string, certificate: PeerCertificate) {
  if (hosts.includes(host)) return checkServerIdentity(host, certificate);
  const errors = hosts.filter(isIP).map((address) => checkServerIdentity(address, certificate));
  return errors.includes(undefined)
    ? undefined
    : (errors[0] ?? checkServerIdentity(host, certificate));
}

/** As libpq has it: https://www.postgresql.org/docs/current/libpq-ssl.html */
function sslOf(options: URLSearchParams, environment: Environment, hosts: () => readonly string[]) {
  const mode = options.get('sslmode') ?? environment.PGSSLMODE ?? 'prefer';
  const file = options.get('sslrootcert') ?? environment.PGSSLROOTCERT;
  if (mode === 'disable') return false;
  if (mode === 'allow' || mode === 'prefer' || mode === 'require') return mode;
  if (mode !== 'verify-ca' && mode !== 'verify-full') {
    throw new SamewiseError('registry/bad-url', `there is no sslmode ${JSON.stringify(mode)}`, {
      hint: 'disable, prefer, require, verify-ca or verify-full',
    });
  }
  return {
    rejectUnauthorized: true,
    ca: file === undefined ? undefined : readFileSync(file),
    // It is signed by whom it should be; for verify-ca it may be another host's.
    checkServerIdentity: (host: string, certificate: PeerCertificate) =>
      mode === 'verify-ca' ? undefined : identityError(hosts(), host, certificate),
  };
}

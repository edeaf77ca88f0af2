/** How a Kafka cluster is spoken to: in the clear or by TLS, as whom. From the environment, so that no file holds a secret. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions, SASLMechanismValue } from '@platformatic/kafka';
import { SamewiseError } from '../../base/errors.ts';

export type KafkaSecurity = Pick<ConnectionOptions, 'tls' | 'tlsServerName' | 'sasl'>;

const MECHANISMS: readonly SASLMechanismValue[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'];
const PREFIX = 'SAMEWISE_KAFKA_';

/**
 * Reads SAMEWISE_KAFKA_TLS (`1`: yes), _TLS_CA, _TLS_CERT and _TLS_KEY (PEM files; any of them means TLS), _MECHANISM (PLAIN,
 * SCRAM-SHA-256 or SCRAM-SHA-512), _USERNAME and _PASSWORD. Throws `stream/bad-security`, which never tells a secret.
 */
export function kafkaSecurity(
  environment: Readonly<Record<string, string | undefined>>,
): KafkaSecurity {
  const get = (name: string): string | undefined => environment[PREFIX + name] || undefined;
  const mechanism = get('MECHANISM');
  const username = get('USERNAME');
  const password = get('PASSWORD');
  const files = { ca: pem(get, 'TLS_CA'), cert: pem(get, 'TLS_CERT'), key: pem(get, 'TLS_KEY') };
  const given = Object.entries(files).filter(([, content]) => content !== undefined);
  const tls = get('TLS') === '1' || given.length > 0;
  const sasl = mechanism !== undefined || username !== undefined || password !== undefined;
  if (sasl && (username === undefined || password === undefined))
    throw wrong('to log in takes both a user name and a password', 'USERNAME, _PASSWORD');
  const known = MECHANISMS.find((name) => name === (mechanism ?? 'SCRAM-SHA-512').toUpperCase());
  if (sasl && known === undefined)
    throw wrong(`${mechanism} is none of ${MECHANISMS.join(', ')}`, 'MECHANISM');
  if (sasl && !tls && known === 'PLAIN')
    throw wrong('PLAIN would send the password in the clear: it takes TLS', 'TLS');
  return {
    ...(tls ? { tls: Object.fromEntries(given), tlsServerName: true } : {}),
    ...(sasl ? { sasl: { mechanism: known!, username: username!, password: password! } } : {}),
  };
}

function pem(get: (name: string) => string | undefined, name: string): string | undefined {
  const file = get(name);
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw wrong(`the file ${file} cannot be read`, name);
  }
}

function wrong(what: string, variable: string): SamewiseError {
  return new SamewiseError('stream/bad-security', what, { where: { field: PREFIX + variable } });
}

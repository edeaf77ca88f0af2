import { openPostgresRegistry } from '../../src/registry/postgres.ts';
import { registryConformance } from '../conformance/registry.ts';
import { servers } from '../stream/servers.ts';
import { newDatabase, optionsFor } from './postgres_database.ts';

const { at } = await servers('postgres');
registryConformance('postgres', async () =>
  openPostgresRegistry(optionsFor(await newDatabase(at[0]))),
);

/** All commands, in the order in which help lists them. */
import type { Command } from 'commander';
import { capacity } from './capacity.ts';
import { design } from './design.ts';
import { doctor } from './doctor.ts';
import { explain } from './explain.ts';
import { features } from './features.ts';
import { get } from './get.ts';
import { init } from './init.ts';
import { jobs } from './jobs.ts';
import { materialize } from './materialize.ts';
import { apply, plan } from './plan.ts';
import { prove } from './prove.ts';
import { push } from './push.ts';
import { reconcile } from './reconcile.ts';
import { registry } from './registry.ts';
import { retire } from './retire.ts';
import { serve } from './serve.ts';
import { status, stream } from './stream.ts';
import { rebuild, snapshot, train } from './train.ts';
import { verify } from './verify.ts';

/** Each adds one command to the program. */
export const COMMANDS: readonly ((program: Command) => void)[] = [
  init,
  plan,
  apply,
  materialize,
  train,
  rebuild,
  verify,
  snapshot,
  get,
  explain,
  serve,
  push,
  stream,
  status,
  reconcile,
  prove,
  features,
  jobs,
  retire,
  registry,
  capacity,
  design,
  doctor,
];

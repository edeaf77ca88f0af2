import type { Command } from 'commander';
import { printDtype } from '../../types/dtype.ts';
import { scalarToJsonText } from '../../types/scalar.ts';
import { command, instant, pairs, withApp } from '../command.ts';
import { table } from '../output.ts';

interface GetOptions {
  readonly key?: Record<string, string>;
  readonly request?: Record<string, string>;
  readonly at?: number;
  readonly through?: boolean;
}

/** `samewise get`: one entity's features from the online store. */
export function get(program: Command): void {
  program.addCommand(
    command('get', "read one entity's features from the online store", [
      'get fraud_v1 --key customer_id=7 --request amount=25',
      'get customer_spending:avg_amount_7d --key customer_id=7 --at 2024-03-20T12:00:00Z',
    ])
      .argument('<service|features>', 'a service, service@version, or view:feature,view:feature')
      .option(
        '-k, --key <name=value>',
        'a part of the entity key (repeat for composite keys)',
        pairs,
      )
      .option('-r, --request <name=value>', 'request data for on-demand features (repeat)', pairs)
      .option('--at <time>', 'as of then (default: now)', instant)
      .option('--through', 'events at that very time count too')
      .action((what: string, options: GetOptions, self: Command) =>
        withApp(self, async ({ app, out }) => {
          const { getVector } = await import('../../app/get.ts');
          const { parseExactJson } = await import('../../serving/json.ts');
          const answer = await getVector(
            app,
            what,
            { ...options.key, ...options.request },
            {
              atUs: options.at ?? null,
              through: options.through === true,
            },
          );
          const stale = answer.features.filter((f) => f.stale);
          out.result(
            {
              at: answer.at,
              features: Object.fromEntries(
                answer.features.map((f) => [
                  f.name,
                  parseExactJson(scalarToJsonText(f.value, f.dtype)),
                ]),
              ),
              statuses: Object.fromEntries(answer.features.map((f) => [f.name, f.status])),
              ...(stale.length > 0 && { stale: stale.map((f) => f.name) }),
            },
            () =>
              table(
                ['feature', 'value', 'type', 'status'],
                answer.features.map((f) => [
                  f.name,
                  scalarToJsonText(f.value, f.dtype),
                  printDtype(f.dtype),
                  f.stale ? `${f.status}, stale` : f.status,
                ]),
              ),
          );
        }),
      ),
  );
}

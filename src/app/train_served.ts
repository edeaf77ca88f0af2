/** Training sets of what was served: a service's features as its vectors in the feature log have them. */
import { SamewiseError } from '../base/errors.ts';
import { planService } from '../model/index.ts';
import type { ServedSet, ServedSetRequest } from '../offline/feature_log_contract.ts';
import { ask, versionedName } from './ask.ts';
import type { App } from './open.ts';

/**
 * Builds one from labels. `service` with a version takes its vectors alone, without one those of all versions. Throws as `ask`,
 * `app/no-feature-log`, `offline/no-feature-log`, `offline/bad-labels`.
 */
export async function trainServed(
  app: App,
  service: string,
  request: Omit<ServedSetRequest, 'service' | 'outputs' | 'keyColumns'>,
): Promise<ServedSet> {
  if (app.featureLog === null)
    throw new SamewiseError('app/no-feature-log', 'the project logs no vectors', {
      where: { field: 'featureLog' },
      hint: 'set "featureLog" in samewise.config.json, as in "file:.samewise/feature-log?share=1"',
    });
  const { name, version } = versionedName(service);
  const { catalog, members } = ask(await app.registry.load(), service);
  const { outputs, keyColumns } = planService(catalog, members);
  return app.featureLog.train({
    ...request,
    service: { name, version: version ?? null },
    outputs: outputs.map((output) => ({ name: output.name, dtype: output.dtype, ref: output.ref })),
    keyColumns,
  });
}

/** The TypeScript client is held to what REST answers, as every client is: values, statuses, event times, types, errors. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseInstant } from '../../src/base/time.ts';
import { connect, SamewiseError } from '../../src/client/index.ts';
import { handle } from '../../src/dsl/handle.ts';
import type { FeatureServiceHandle } from '../../src/dsl/index.ts';
import { catalogOf, planService } from '../../src/model/index.ts';
import { scalarFromJson } from '../../src/types/json.ts';
import { sameScalar } from '../../src/types/scalar.ts';
import { conformance } from '../serving/conformance/cases.ts';
import { conformanceServer, DEFINITIONS } from '../serving/conformance/world.ts';

let server: Awaited<ReturnType<typeof conformanceServer>>;
let url: string;
before(async () => {
  server = await conformanceServer();
  url = await server.app.listen({ port: 0 });
});
after(() => server.app.close());

const others = DEFINITIONS.filter(({ kind }) => kind !== 'featureService').map((definition) =>
  handle({}, definition, []),
);
const services = DEFINITIONS.filter((definition) => definition.kind === 'featureService');

/** What the client says itself, before it asks. */
const OWN: Readonly<Record<string, string>> = {
  'serving/missing-field': 'client/missing-field',
  'serving/unknown-field': 'client/unknown-field',
};

// A program asks for the version that it defines, not for one by its number.
const cases = conformance().cases.filter(({ service }) => !service.includes('@'));
for (const { name, service, request, answer } of cases)
  test(name, async () => {
    const found = services.find((one) => one.name === service);
    const definition = found ?? { ...services[0]!, name: service };
    const asked: FeatureServiceHandle = handle({}, definition, others);
    const { entities, ...options } = request;
    const got = connect(url).getMany(asked, entities, options);
    const { error } = answer;
    if (error !== undefined)
      return assert.rejects(got, (thrown) => {
        assert.ok(thrown instanceof SamewiseError);
        assert.equal(thrown.code, OWN[error.code] ?? error.code);
        return true;
      });
    const answers = await got;
    assert.equal(answers.length, entities.length);
    const { outputs } = planService(catalogOf(DEFINITIONS), definition.members);
    for (const [i, { values, statuses, eventTimesUs, atUs, version }] of answers.entries()) {
      assert.deepEqual([atUs, version], [parseInstant(answer.at), answer.version]);
      for (const { name: output, dtype } of outputs) {
        const expected = scalarFromJson(answer.columns[output]![i], dtype, {});
        assert.ok(sameScalar(values[output], expected), `${i} ${output}: ${values[output]}`);
        assert.equal(statuses[output], answer.statuses[output]![i]);
        const time = answer.event_times[output]![i]!;
        assert.equal(eventTimesUs[output], time === null ? null : parseInstant(time));
      }
    }
  });

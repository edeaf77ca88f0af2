/** What deploys, checked by the linters of its own field: Kubernetes' schemas, yamllint, and the program that reads compose files. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { python } from '../support/python.ts';

const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);
const linters = await python('deploy');
/** By their modules: the environment was moved after its programs were written. */
const validate = (...args: string[]) => run(linters.path, ['-m', 'kubernetes_validate', ...args]);
const MANIFESTS = [
  'deploy/kubernetes/samewise.yaml',
  ...globSync('examples/design/*/deploy/kubernetes.yaml', { cwd: ROOT }).sort(),
].map((file) => join(ROOT, file));

/** The version of Kubernetes that `sleep` in preStop is on by default in. */
const OLDEST = '1.30';

test('manifests are what Kubernetes takes, and a slip is refused', {
  skip: linters.skip,
}, async (t) => {
  assert.equal(MANIFESTS.length, 3);
  for (const version of [OLDEST, '1.37']) await validate('--strict', '-k', version, ...MANIFESTS);
  const folder = mkdtempSync(join(tmpdir(), 'samewise-deploy-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const wrong = join(folder, 'wrong.yaml');
  writeFileSync(
    wrong,
    readFileSync(MANIFESTS[0]!, 'utf8').replace('readinessProbe', 'readynessProbe'),
  );
  await assert.rejects(validate('--strict', wrong));
});

test('names within the manifests fit: what is scaled, mounted and selected is there', () => {
  for (const file of MANIFESTS) {
    const parts = parseAllDocuments(readFileSync(file, 'utf8')).map((one) => one.toJS());
    const of = (kind: string) => parts.filter((part) => part.kind === kind);
    const names = (kind: string) => of(kind).map(({ metadata }) => metadata.name);
    for (const { spec } of of('HorizontalPodAutoscaler')) {
      assert.ok(names('Deployment').includes(spec.scaleTargetRef.name));
      assert.ok(spec.maxReplicas >= spec.minReplicas);
    }
    for (const { spec } of of('Deployment')) {
      const { containers, volumes } = spec.template.spec;
      for (const { name } of containers[0].volumeMounts)
        assert.ok(volumes.some((volume: { name: string }) => volume.name === name));
      assert.ok(names('ConfigMap').includes(containers[0].envFrom[0].configMapRef.name));
      assert.deepEqual(spec.template.metadata.labels, spec.selector.matchLabels);
    }
    for (const kind of ['PodDisruptionBudget', 'Service'])
      for (const { spec } of of(kind)) {
        const selected = JSON.stringify(spec.selector.matchLabels ?? spec.selector);
        assert.ok(
          of('Deployment').some((d) => JSON.stringify(d.spec.selector.matchLabels) === selected),
        );
      }
  }
  const { resources } = parse(
    readFileSync(join(ROOT, 'deploy/kubernetes/kustomization.yaml'), 'utf8'),
  );
  for (const file of resources) assert.ok(existsSync(join(ROOT, 'deploy/kubernetes', file)));
});

test('all YAML here is clean', { skip: linters.skip }, async () => {
  const rules = '{extends: relaxed, rules: {line-length: disable}}';
  await run(linters.path, [
    '-m',
    'yamllint',
    '--strict',
    '-d',
    rules,
    join(ROOT, 'deploy'),
    ...MANIFESTS,
    ...globSync(join(ROOT, 'examples/design/*.yaml')),
  ]);
});

test('the compose file is what compose takes, and says which passwords it wants', async (t) => {
  let compose: string;
  try {
    compose = (await run(join(ROOT, 'scripts/services/docker-compose'), ['fetch'])).stdout.trim();
  } catch (error) {
    if (process.env.SAMEWISE_SKIP_NONE) throw error;
    t.skip(String((error as { stderr?: string }).stderr));
    return;
  }
  const file = ['-f', join(ROOT, 'deploy/docker-compose.yaml'), 'config', '-q'];
  const { PATH } = process.env;
  const passwords = { REDIS_PASSWORD: 'r', POSTGRES_PASSWORD: 'p' };
  await run(compose, file, { env: { PATH, PWD: ROOT, ...passwords } });
  for (const missing of Object.keys(passwords))
    await assert.rejects(
      run(compose, file, { env: { PATH, PWD: ROOT, ...passwords, [missing]: '' } }),
    );
});

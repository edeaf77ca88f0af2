/** Manifests for Kubernetes: plain, without templates, so that what is reviewed and checked is what is applied. */
import { stringify } from 'yaml';

/** What differs between deployments. */
export interface DeploymentValues {
  readonly name: string;
  readonly image: string;
  readonly servingPods: number;
  readonly streamPods: number;
  /** Workers beyond it would have no partition. */
  readonly partitions: number;
  readonly podCores: number;
  readonly online: string;
  readonly registry: string;
  readonly stream: string;
}

/** What deploy/kubernetes/ has, to be changed. */
export const DEFAULT_DEPLOYMENT: DeploymentValues = Object.freeze({
  name: 'samewise',
  image: 'registry.example.com/my-features:1',
  servingPods: 3,
  streamPods: 2,
  partitions: 8,
  podCores: 2,
  online: 'redis-cluster://redis-cluster:6379',
  registry: 'postgres://samewise@postgres:5432/samewise',
  stream: 'kafka:kafka:9092',
});

const PORT = 7480;
const HISTORY = '/data';

/** All manifests as one YAML file. Passwords come from the secret `<name>-secrets`, which is not made here. */
export function kubernetesOf(values: DeploymentValues): string {
  const parts = [
    config(values),
    history(values),
    service(values),
    servers(values),
    workers(values),
    // Room for a rush, and for a zone that is away.
    scaler(values, 'serve', values.servingPods, 3 * values.servingPods),
    scaler(values, 'stream', values.streamPods, Math.max(values.streamPods, values.partitions)),
    budget(values, 'serve', values.servingPods),
    budget(values, 'stream', values.streamPods),
  ];
  const head = `# Made by \`samewise design\`. Passwords: kubectl create secret generic ${values.name}-secrets \\
#   --from-literal=SAMEWISE_ONLINE_PASSWORD=… --from-literal=PGPASSWORD=…
`;
  return `${head}${parts.map((part) => stringify(part, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n')}`;
}

function meta({ name }: DeploymentValues, part: string) {
  return {
    name: `${name}-${part}`,
    labels: { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': part },
  };
}

function labels({ name }: DeploymentValues, part: string) {
  return { 'app.kubernetes.io/name': name, 'app.kubernetes.io/component': part };
}

function config(values: DeploymentValues) {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: meta(values, 'config'),
    data: {
      SAMEWISE_ONLINE: values.online,
      SAMEWISE_REGISTRY: values.registry,
      SAMEWISE_STREAM: values.stream,
      SAMEWISE_OFFLINE: `file:${HISTORY}/history`,
      SAMEWISE_FEATURE_LOG: `file:${HISTORY}/feature-log`,
    },
  };
}

/** History is read and written by several pods at once. */
function history(values: DeploymentValues) {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: meta(values, 'history'),
    spec: { accessModes: ['ReadWriteMany'], resources: { requests: { storage: '1Ti' } } },
  };
}

function service(values: DeploymentValues) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    // There is no authentication yet: it is reached from within the cluster alone.
    metadata: meta(values, 'serve'),
    spec: {
      type: 'ClusterIP',
      selector: labels(values, 'serve'),
      ports: [{ name: 'http', port: 80, targetPort: 'http' }],
    },
  };
}

function servers(values: DeploymentValues) {
  const probe = (path: string) => ({ httpGet: { path, port: 'http' } });
  return deployment(values, 'serve', values.servingPods, {
    args: [
      'serve',
      '--host',
      '0.0.0.0',
      '--port',
      String(PORT),
      '--workers',
      String(values.podCores),
      '--no-stream',
    ],
    ports: [{ name: 'http', containerPort: PORT }],
    // Loading what is registered may take a while at the first start; afterwards a process that does not answer is replaced.
    startupProbe: { ...probe('/healthz'), periodSeconds: 2, failureThreshold: 60 },
    livenessProbe: {
      ...probe('/healthz'),
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    readinessProbe: {
      ...probe('/readyz'),
      periodSeconds: 2,
      timeoutSeconds: 2,
      failureThreshold: 3,
    },
    // Until no connections are sent here any more.
    lifecycle: { preStop: { sleep: { seconds: 5 } } },
    resources: {
      requests: { cpu: String(values.podCores), memory: `${values.podCores}Gi` },
      // No limit of CPU: it would stop the event loop in the middle of requests.
      limits: { memory: `${2 * values.podCores}Gi` },
    },
  });
}

function workers(values: DeploymentValues) {
  return deployment(values, 'stream', values.streamPods, {
    args: ['stream', 'run'],
    resources: { requests: { cpu: '1', memory: '2Gi' }, limits: { memory: '4Gi' } },
  });
}

function deployment(
  values: DeploymentValues,
  part: string,
  replicas: number,
  container: Readonly<Record<string, unknown>>,
) {
  const selector = { matchLabels: labels(values, part) };
  const spread = (topologyKey: string) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: selector,
  });
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta(values, part),
    spec: {
      replicas,
      selector,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: { labels: labels(values, part) },
        spec: {
          automountServiceAccountToken: false,
          // A worker finishes what it holds, a server what it answers.
          terminationGracePeriodSeconds: 60,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 1000,
            fsGroup: 1000,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          topologySpreadConstraints: [
            spread('topology.kubernetes.io/zone'),
            spread('kubernetes.io/hostname'),
          ],
          containers: [
            {
              name: part,
              image: values.image,
              ...container,
              envFrom: [
                { configMapRef: { name: `${values.name}-config` } },
                { secretRef: { name: `${values.name}-secrets`, optional: true } },
              ],
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              volumeMounts: [
                { name: 'history', mountPath: HISTORY },
                { name: 'state', mountPath: '/project/.samewise' },
                { name: 'tmp', mountPath: '/tmp' },
              ],
            },
          ],
          volumes: [
            { name: 'history', persistentVolumeClaim: { claimName: `${values.name}-history` } },
            { name: 'state', emptyDir: {} },
            { name: 'tmp', emptyDir: {} },
          ],
        },
      },
    },
  };
}

/** By CPU: a server and a worker run out of their event loops, and neither uses CPU while it waits for a store. */
function scaler(values: DeploymentValues, part: string, least: number, most: number) {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: meta(values, part),
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: `${values.name}-${part}` },
      minReplicas: least,
      maxReplicas: most,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } },
        },
      ],
      // More at once, fewer after a while: a new worker costs all others a rebalance.
      behavior: { scaleDown: { stabilizationWindowSeconds: 600 } },
    },
  };
}

function budget(values: DeploymentValues, part: string, pods: number) {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: meta(values, part),
    spec: {
      // What two of three zones carry.
      maxUnavailable: Math.max(1, Math.floor(pods / 3)),
      selector: { matchLabels: labels(values, part) },
    },
  };
}

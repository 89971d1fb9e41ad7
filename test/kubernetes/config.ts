// SPDX-License-Identifier: Apache-2.0
/** Credentials, configuration files and command lines of Kubernetes' programs. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pauseImage } from './build.ts'
import {
  api,
  apiPort,
  built,
  control,
  dnsAddresses,
  kubeconfig,
  type Machine,
  machine,
  nodePods,
  services,
  state,
} from './places.ts'

const certs = join(state, 'certs')
const at = (name: string): string => join(certs, name)
const binary = join(built, 'kubernetes')
const etcd = 'http://127.0.0.1:2379'

const openssl = (args: readonly string[]): void => {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Keys, certificates, tokens, and the administrator's kubeconfig. */
export function writeCredentials(nodes: number): void {
  mkdirSync(certs, { recursive: true })
  const elliptic = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(['genrsa', '-out', at('sa.key'), '2048'])
  openssl([
    'req',
    '-x509',
    '-days',
    '365',
    ...elliptic,
    '-subj',
    '/CN=test-cluster-ca',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
  ])
  const sign = (name: string, subject: string, extensions: string) => {
    writeFileSync(at(`${name}.ext`), extensions)
    openssl(['req', '-new', ...elliptic, '-subj', subject, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`)])
    openssl([
      'x509',
      '-req',
      '-in',
      at(`${name}.csr`),
      '-CA',
      at('ca.crt'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-days',
      '365',
      '-extfile',
      at(`${name}.ext`),
      '-out',
      at(`${name}.crt`),
    ])
  }
  const names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local']
  const addresses = [control.ipv4, control.ipv6, '127.0.0.1', '10.96.0.1', 'fd96::1']
  sign(
    'api',
    '/CN=kube-apiserver',
    `subjectAltName=${[...names.map((n) => `DNS:${n}`), ...addresses.map((a) => `IP:${a}`)].join(',')}\nextendedKeyUsage=serverAuth\n`,
  )
  sign('kubelet-client', '/O=system:masters/CN=kube-apiserver-kubelet-client', 'extendedKeyUsage=clientAuth\n')
  const tokens = [
    'admin-token,admin,1,"system:masters"',
    'controllers-token,system:kube-controller-manager,2',
    'scheduler-token,system:kube-scheduler,3',
    ...Array.from({ length: nodes }, (_, i) => machine(i + 1).name).map(
      (name, i) => `${name}-token,system:node:${name},${10 + i},"system:nodes"`,
    ),
  ]
  writeFileSync(at('tokens.csv'), `${tokens.join('\n')}\n`)
  writeFileSync(kubeconfig, userConfig('admin-token'), { mode: 0o600 })
  writeFileSync(at('audit.json'), JSON.stringify(auditPolicy))
  writeFileSync(at('controllers.conf'), userConfig('controllers-token'))
  writeFileSync(at('scheduler.conf'), userConfig('scheduler-token'))
}

/** What the product's accounts ask for, in the API server's own log. */
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  omitManagedFields: true,
  rules: [
    {
      level: 'Metadata',
      users: ['cilium', 'cilium-operator', 'cilium-envoy'].map((n) => `system:serviceaccount:kube-system:${n}`),
    },
    { level: 'None' },
  ],
}

/** A kubeconfig for the bearer of a token. */
export const userConfig = (token: string): string =>
  `${JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: api, 'certificate-authority': at('ca.crt') } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  })}\n`

/** The control plane's programs, in the order of starting. */
export const controlPrograms = (): readonly (readonly [name: string, command: readonly string[]])[] => [
  [
    'etcd',
    [
      binary,
      'etcd',
      '--data-dir=/var/lib/etcd',
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      '--listen-peer-urls=http://127.0.0.1:2380',
      '--initial-advertise-peer-urls=http://127.0.0.1:2380',
      '--initial-cluster=default=http://127.0.0.1:2380',
      '--unsafe-no-fsync',
    ],
  ],
  [
    'kube-apiserver',
    [
      binary,
      'kube-apiserver',
      `--etcd-servers=${etcd}`,
      `--advertise-address=${control.ipv4}`,
      `--secure-port=${apiPort}`,
      `--tls-cert-file=${at('api.crt')}`,
      `--tls-private-key-file=${at('api.key')}`,
      `--service-account-key-file=${at('sa.key')}`,
      `--service-account-signing-key-file=${at('sa.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--token-auth-file=${at('tokens.csv')}`,
      '--authorization-mode=Node,RBAC',
      `--service-cluster-ip-range=${services}`,
      '--allow-privileged=true',
      '--profiling=false',
      `--audit-policy-file=${at('audit.json')}`,
      '--audit-log-path=-',
      '--kubelet-preferred-address-types=InternalIP',
      `--kubelet-client-certificate=${at('kubelet-client.crt')}`,
      `--kubelet-client-key=${at('kubelet-client.key')}`,
    ],
  ],
  [
    'kube-controller-manager',
    [
      binary,
      'kube-controller-manager',
      ...['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
        (o) => `--${o}=${at('controllers.conf')}`,
      ),
      `--service-account-private-key-file=${at('sa.key')}`,
      `--root-ca-file=${at('ca.crt')}`,
      '--use-service-account-credentials',
      '--leader-elect=false',
      '--allocate-node-cidrs',
      `--cluster-cidr=${nodePods}`,
      `--service-cluster-ip-range=${services}`,
      '--node-cidr-mask-size-ipv4=24',
      '--node-cidr-mask-size-ipv6=64',
      '--node-monitor-grace-period=20s',
      '--bind-address=127.0.0.1',
    ],
  ],
  [
    'kube-scheduler',
    [
      binary,
      'kube-scheduler',
      ...['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
        (o) => `--${o}=${at('scheduler.conf')}`,
      ),
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
    ],
  ],
]

/** Without CAP_SYS_RESOURCE a container's out-of-memory score can not go below containerd's own. */
export const containerdConfig = (m: Machine): string => `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  stream_server_address = "${m.ipv4}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`

export const kubeletConfig = (m: Machine): string =>
  `${JSON.stringify(
    {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      address: m.ipv4,
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: at('ca.crt') },
      },
      authorization: { mode: 'Webhook' },
      cgroupDriver: 'cgroupfs',
      cgroupsPerQOS: true,
      clusterDNS: dnsAddresses,
      clusterDomain: 'cluster.local',
      containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
      enforceNodeAllocatable: [],
      evictionHard: {
        'memory.available': '0%',
        'nodefs.available': '0%',
        'imagefs.available': '0%',
        'nodefs.inodesFree': '0%',
      },
      failCgroupV1: false,
      failSwapOn: false,
      localStorageCapacityIsolation: false,
      makeIPTablesUtilChains: false,
      maxPods: 250,
      registryPullQPS: 0,
      resolvConf: '/etc/resolv.conf',
      serializeImagePulls: false,
      kubeAPIQPS: 50,
      kubeAPIBurst: 100,
    },
    undefined,
    1,
  )}\n`

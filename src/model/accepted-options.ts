// SPDX-License-Identifier: Apache-2.0

/** Options of Cilium's agent and operator that are accepted and have no effect here: charts and ConfigMaps set them all. */
export const acceptedOptions: ReadonlySet<string> = new Set(
  `
    agent-health-port agent-labels agent-liveness-update-interval agent-not-ready-taint-key allocator-list-timeout
    allow-icmp-frag-needed allow-localhost annotate-k8s-node api-rate-limit arping-refresh-period
    auto-create-cilium-node-resource auto-create-cilium-pod-ip-pools auto-direct-node-routes bgp-announce-lb-ip
    bgp-announce-pod-cidr bgp-config-path bpf-auth-map-max bpf-ct-global-any-max bpf-ct-global-tcp-max
    bpf-ct-timeout-regular-any bpf-ct-timeout-regular-tcp bpf-ct-timeout-regular-tcp-fin
    bpf-ct-timeout-regular-tcp-syn bpf-ct-timeout-service-any bpf-ct-timeout-service-tcp
    bpf-ct-timeout-service-tcp-grace bpf-distributed-lru bpf-events-default-burst-limit
    bpf-events-default-rate-limit bpf-events-drop-enabled bpf-events-policy-verdict-enabled
    bpf-events-trace-enabled bpf-fragments-map-max bpf-lb-acceleration bpf-lb-algorithm bpf-lb-algorithm-annotation
    bpf-lb-dsr-dispatch bpf-lb-dsr-l4-xlate bpf-lb-external-clusterip bpf-lb-maglev-hash-seed
    bpf-lb-maglev-table-size bpf-lb-map-max bpf-lb-mode bpf-lb-mode-annotation bpf-lb-rss-ipv4-src-cidr
    bpf-lb-rss-ipv6-src-cidr bpf-lb-sock bpf-lb-sock-hostns-only bpf-lb-source-range-all-types
    bpf-map-dynamic-size-ratio bpf-nat-global-max bpf-neigh-global-max bpf-node-map-max bpf-policy-map-max
    bpf-policy-stats-map-max bpf-root bpf-sock-rev-map-max certificates-directory cgroup-root
    cilium-endpoint-gc-interval cluster-health-port cluster-id cluster-name cluster-pool-ipv4-cidr
    cluster-pool-ipv4-mask-size cluster-pool-ipv6-cidr cluster-pool-ipv6-mask-size clustermesh-config
    clustermesh-enable-endpoint-sync clustermesh-enable-mcs-api clustermesh-sync-timeout cni-chaining-mode
    cni-chaining-target cni-exclusive cni-external-routing cni-log-file cni-uninstall config config-dir
    conntrack-gc-interval conntrack-gc-max-interval container-ip-local-reserved-ports controller-group-metrics
    crd-wait-timeout custom-cni-conf datapath-mode debug debug-verbose default-lb-service-ipam devices
    direct-routing-device direct-routing-skip-unreachable disable-endpoint-crd disable-envoy-version-check
    disable-external-ip-mitigation disable-iptables-feeder-rules dns-max-ips-per-restored-rule
    dnsproxy-enable-transparent-mode dnsproxy-insecure-skip-transparent-mode-check dnsproxy-lock-count
    dnsproxy-lock-timeout dnsproxy-socket-linger-timeout
    egress-gateway-policy-map-max egress-gateway-reconciliation-trigger-interval egress-masquerade-interfaces
    egress-multi-home-ip-rule-compat enable-active-connection-tracking enable-auto-protect-node-port-range
    enable-bandwidth-manager enable-bbr enable-bgp-control-plane enable-bgp-legacy-origin-attribute
    enable-bpf-clock-probe enable-bpf-masquerade enable-bpf-tproxy enable-cilium-api-server-access
    enable-cilium-endpoint-slice enable-cilium-health-api-server-access enable-custom-calls
    enable-dynamic-config enable-egress-gateway enable-encryption-strict-mode enable-endpoint-health-checking
    enable-endpoint-lockdown-on-policy-overflow enable-endpoint-routes enable-envoy-config enable-experimental-lb
    enable-external-ips enable-gateway-api enable-gateway-api-alpn enable-gateway-api-app-protocol
    enable-gateway-api-proxy-protocol enable-gateway-api-secrets-sync enable-health-check-loadbalancer-ip
    enable-health-check-nodeport enable-health-checking enable-high-scale-ipcache enable-host-firewall
    enable-host-legacy-routing enable-host-port enable-hubble enable-hubble-open-metrics enable-hubble-recorder-api
    enable-identity-mark enable-ingress-controller enable-ingress-proxy-protocol enable-ingress-secrets-sync
    enable-internal-traffic-policy enable-ip-masq-agent enable-ipip-termination enable-ipsec
    enable-ipsec-encrypted-overlay enable-ipsec-key-watcher enable-ipv4 enable-ipv4-big-tcp
    enable-ipv4-egress-gateway enable-ipv4-fragment-tracking enable-ipv4-masquerade enable-ipv6 enable-ipv6-big-tcp
    enable-ipv6-masquerade enable-ipv6-ndp enable-k8s enable-k8s-api-discovery enable-k8s-cluster-network-policy
    enable-k8s-endpoint-slice enable-k8s-networkpolicy enable-k8s-terminating-endpoint enable-l2-announcements
    enable-l2-neigh-discovery enable-l2-pod-announcements enable-lb-ipam enable-local-node-route
    enable-local-redirect-policy enable-masquerade-to-route-source enable-monitor enable-nat46x64-gateway
    enable-no-service-endpoints-routable enable-node-port enable-node-selector-labels
    enable-non-default-deny-policies enable-pmtu-discovery enable-policy enable-policy-secrets-sync enable-recorder
    enable-route-mtu-for-cni-chaining enable-runtime-device-detection enable-sctp enable-service-topology
    enable-session-affinity enable-source-ip-verification enable-svc-source-range-check enable-tcx enable-tracing
    enable-tunnel-big-tcp enable-unreachable-routes enable-vtep enable-well-known-identities enable-wireguard
    enable-xdp-prefilter enable-xt-socket-fallback enable-ztunnel encrypt-interface encrypt-node
    encryption-strict-mode-allow-remote-node-identities encryption-strict-mode-cidr
    endpoint-bpf-prog-watchdog-interval endpoint-queue-size enforce-ingress-https envoy-base-id
    envoy-config-retry-interval envoy-config-timeout envoy-keep-cap-netbindservice envoy-log
    envoy-secrets-namespace exclude-local-address exclude-node-label-patterns external-envoy-proxy
    fixed-identity-mapping force-device-detection gateway-api-hostnetwork-enabled
    gateway-api-hostnetwork-nodelabelselector gateway-api-secrets-namespace
    gateway-api-service-externaltrafficpolicy gateway-api-xff-num-trusted-hops gops-port
    health-check-icmp-failure-threshold help http-idle-timeout http-max-grpc-timeout http-normalize-path
    http-request-timeout http-retry-count http-retry-timeout hubble-disable-tls hubble-drop-events
    hubble-drop-events-interval hubble-drop-events-reasons hubble-event-buffer-capacity hubble-event-queue-size
    hubble-export-allowlist hubble-export-denylist hubble-export-fieldmask hubble-export-file-compress
    hubble-export-file-max-backups hubble-export-file-max-size-mb hubble-export-file-path
    hubble-flowlogs-config-path hubble-listen-address hubble-metrics hubble-metrics-server hubble-monitor-events
    hubble-network-policy-correlation-enabled hubble-prefer-ipv6 hubble-recorder-sink-queue-size
    hubble-recorder-storage-path hubble-redact-enabled hubble-redact-http-headers-allow
    hubble-redact-http-headers-deny hubble-redact-http-urlquery hubble-redact-http-userinfo
    hubble-redact-kafka-apikey hubble-skip-unknown-cgroup-ids hubble-socket-path hubble-tls-cert-file
    hubble-tls-client-ca-files hubble-tls-key-file identity-allocation-mode identity-change-grace-period
    identity-gc-interval identity-heartbeat-timeout identity-management-mode identity-restore-grace-period
    ingress-default-lb-mode ingress-default-secret-name ingress-default-secret-namespace
    ingress-default-xff-num-trusted-hops ingress-hostnetwork-enabled ingress-hostnetwork-nodelabelselector
    ingress-hostnetwork-shared-listener-port ingress-lb-annotation-prefixes ingress-secrets-namespace
    ingress-shared-lb-service-name install-no-conntrack-iptables-rules ip-masq-agent-config-path ipam
    ipam-cilium-node-update-rate ipam-default-ip-pool ipam-multi-pool-pre-allocation ipsec-key-file
    ipsec-key-rotation-duration iptables-lock-timeout iptables-random-fully ipv4-native-routing-cidr ipv4-node
    ipv4-pod-subnets ipv4-range ipv4-service-loopback-address ipv4-service-range ipv6-cluster-alloc-cidr
    ipv6-mcast-device ipv6-native-routing-cidr ipv6-node ipv6-pod-subnets ipv6-range ipv6-service-range
    join-cluster k8s-api-server k8s-client-burst k8s-client-connection-keep-alive k8s-client-connection-timeout
    k8s-client-qps k8s-heartbeat-timeout k8s-kubeconfig-path k8s-namespace k8s-require-ipv4-pod-cidr
    k8s-require-ipv6-pod-cidr k8s-service-host k8s-service-proxy-name k8s-watcher-endpoint-selector keep-config
    kube-proxy-replacement kube-proxy-replacement-healthz-bind-address kvstore kvstore-connectivity-timeout
    kvstore-max-consecutive-quorum-errors kvstore-opt kvstore-periodic-sync l2-announcements-lease-duration
    l2-announcements-renew-deadline l2-announcements-retry-period l2-pod-announcements-interface label-prefix-file
    labels lib-dir local-router-ipv4 local-router-ipv6 log-driver log-opt log-system-load max-connected-clusters
    mesh-auth-enabled mesh-auth-gc-interval mesh-auth-mutual-connect-timeout mesh-auth-mutual-enabled
    mesh-auth-mutual-listener-port mesh-auth-queue-size mesh-auth-rotated-identities-queue-size
    mesh-auth-spiffe-trust-domain mesh-auth-spire-admin-socket mesh-auth-spire-server-address metrics
    metrics-sampling-interval monitor-aggregation monitor-aggregation-flags monitor-aggregation-interval
    monitor-queue-size mtu multicast-enabled nat-map-stats-entries nat-map-stats-interval
    node-encryption-opt-out-labels node-labels node-port-bind-protection node-port-range nodeport-addresses
    nodes-gc-interval operator-api-serve-addr operator-prometheus-serve-addr packetization-layer-pmtud-mode
    policy-accounting policy-audit-mode policy-cidr-match-mode policy-default-local-cluster policy-queue-size
    policy-secrets-only-from-secrets-namespace pprof pprof-address pprof-port
    preallocate-bpf-maps prepend-iptables-chains procfs prometheus-serve-addr proxy-admin-port
    proxy-cluster-max-connections proxy-cluster-max-requests proxy-connect-timeout proxy-gid
    proxy-idle-timeout-seconds proxy-initial-fetch-timeout proxy-max-active-downstream-connections
    proxy-max-connection-duration-seconds proxy-max-requests-per-connection proxy-portrange-max proxy-portrange-min
    proxy-prometheus-port proxy-use-original-source-address proxy-xff-num-trusted-hops-egress
    proxy-xff-num-trusted-hops-ingress read-cni-conf remove-cilium-node-taints restore route-metric routing-mode
    service-no-backend-response set-cilium-is-up-condition set-cilium-node-taints skip-cnp-status-startup-clean
    socket-path state-dir static-cnp-path synchronize-k8s-nodes tofqdns-enable-dns-compression
    tofqdns-preallocate-identities tofqdns-proxy-response-max-delay trace-payloadlen trace-sock tunnel-port tunnel-protocol
    tunnel-source-port-range underlay-protocol unmanaged-pod-watcher-interval use-full-tls-context version
    vlan-bpf-bypass vtep-cidr vtep-endpoint vtep-mac vtep-mask vtep-sync-interval wireguard-persistent-keepalive
    write-cni-conf-when-ready
  `
    .trim()
    .split(/\s+/),
)

// SPDX-License-Identifier: Apache-2.0
// Made by tools/envoy-messages.ts. Do not edit.
/**
 * Messages of Envoy's API v3, one a line: name, then fields as `name,number,type`; of enumerations `name=number`. Types:
 * s string, y bytes, b bool, i integer, x fixed 32 bits, d double, f float, else a message; [ list of, { map from string
 * to. ~ stands for `envoy.`, # for `google.protobuf.`.
 */
export const messages = `
google.rpc.Status code,1,i message,2,s details,3,[#Any
xds.core.v3.Authority name,1,s
xds.core.v3.ContextParams params,1,{s
xds.core.v3.TypedExtensionConfig name,1,s typed_config,2,#Any
xds.type.matcher.v3.Matcher matcher_list,1,xds.type.matcher.v3.Matcher.MatcherList matcher_tree,2,xds.type.matcher.v3.Matcher.MatcherTree on_no_match,3,xds.type.matcher.v3.Matcher.OnMatch
xds.type.matcher.v3.Matcher.MatcherList matchers,1,[xds.type.matcher.v3.Matcher.MatcherList.FieldMatcher
xds.type.matcher.v3.Matcher.MatcherList.FieldMatcher predicate,1,xds.type.matcher.v3.Matcher.MatcherList.Predicate on_match,2,xds.type.matcher.v3.Matcher.OnMatch
xds.type.matcher.v3.Matcher.MatcherList.Predicate single_predicate,1,xds.type.matcher.v3.Matcher.MatcherList.Predicate.SinglePredicate or_matcher,2,xds.type.matcher.v3.Matcher.MatcherList.Predicate.PredicateList and_matcher,3,xds.type.matcher.v3.Matcher.MatcherList.Predicate.PredicateList not_matcher,4,xds.type.matcher.v3.Matcher.MatcherList.Predicate
xds.type.matcher.v3.Matcher.MatcherList.Predicate.PredicateList predicate,1,[xds.type.matcher.v3.Matcher.MatcherList.Predicate
xds.type.matcher.v3.Matcher.MatcherList.Predicate.SinglePredicate input,1,xds.core.v3.TypedExtensionConfig value_match,2,xds.type.matcher.v3.StringMatcher custom_match,3,xds.core.v3.TypedExtensionConfig
xds.type.matcher.v3.Matcher.MatcherTree input,1,xds.core.v3.TypedExtensionConfig exact_match_map,2,xds.type.matcher.v3.Matcher.MatcherTree.MatchMap prefix_match_map,3,xds.type.matcher.v3.Matcher.MatcherTree.MatchMap custom_match,4,xds.core.v3.TypedExtensionConfig
xds.type.matcher.v3.Matcher.MatcherTree.MatchMap map,1,{xds.type.matcher.v3.Matcher.OnMatch
xds.type.matcher.v3.Matcher.OnMatch matcher,1,xds.type.matcher.v3.Matcher action,2,xds.core.v3.TypedExtensionConfig
xds.type.matcher.v3.RegexMatcher google_re2,1,xds.type.matcher.v3.RegexMatcher.GoogleRE2 regex,2,s
xds.type.matcher.v3.RegexMatcher.GoogleRE2
xds.type.matcher.v3.StringMatcher exact,1,s prefix,2,s suffix,3,s safe_regex,5,xds.type.matcher.v3.RegexMatcher contains,7,s ignore_case,6,b
~config.accesslog.v3.AccessLog name,1,s filter,2,~config.accesslog.v3.AccessLogFilter typed_config,4,#Any
~config.accesslog.v3.AccessLogFilter status_code_filter,1,~config.accesslog.v3.StatusCodeFilter duration_filter,2,~config.accesslog.v3.DurationFilter not_health_check_filter,3,~config.accesslog.v3.NotHealthCheckFilter traceable_filter,4,~config.accesslog.v3.TraceableFilter runtime_filter,5,~config.accesslog.v3.RuntimeFilter and_filter,6,~config.accesslog.v3.AndFilter or_filter,7,~config.accesslog.v3.OrFilter header_filter,8,~config.accesslog.v3.HeaderFilter response_flag_filter,9,~config.accesslog.v3.ResponseFlagFilter grpc_status_filter,10,~config.accesslog.v3.GrpcStatusFilter extension_filter,11,~config.accesslog.v3.ExtensionFilter metadata_filter,12,~config.accesslog.v3.MetadataFilter log_type_filter,13,~config.accesslog.v3.LogTypeFilter
~config.accesslog.v3.AndFilter filters,1,[~config.accesslog.v3.AccessLogFilter
~config.accesslog.v3.ComparisonFilter op,1,~config.accesslog.v3.ComparisonFilter.Op value,2,~config.core.v3.RuntimeUInt32
~config.accesslog.v3.ComparisonFilter.Op EQ=0 GE=1 LE=2
~config.accesslog.v3.DurationFilter comparison,1,~config.accesslog.v3.ComparisonFilter
~config.accesslog.v3.ExtensionFilter name,1,s typed_config,3,#Any
~config.accesslog.v3.GrpcStatusFilter statuses,1,[~config.accesslog.v3.GrpcStatusFilter.Status exclude,2,b
~config.accesslog.v3.GrpcStatusFilter.Status OK=0 CANCELED=1 UNKNOWN=2 INVALID_ARGUMENT=3 DEADLINE_EXCEEDED=4 NOT_FOUND=5 ALREADY_EXISTS=6 PERMISSION_DENIED=7 RESOURCE_EXHAUSTED=8 FAILED_PRECONDITION=9 ABORTED=10 OUT_OF_RANGE=11 UNIMPLEMENTED=12 INTERNAL=13 UNAVAILABLE=14 DATA_LOSS=15 UNAUTHENTICATED=16
~config.accesslog.v3.HeaderFilter header,1,~config.route.v3.HeaderMatcher
~config.accesslog.v3.LogTypeFilter types,1,[~data.accesslog.v3.AccessLogType exclude,2,b
~config.accesslog.v3.MetadataFilter matcher,1,~type.matcher.v3.MetadataMatcher match_if_key_not_found,2,#BoolValue
~config.accesslog.v3.NotHealthCheckFilter
~config.accesslog.v3.OrFilter filters,2,[~config.accesslog.v3.AccessLogFilter
~config.accesslog.v3.ResponseFlagFilter flags,1,[s
~config.accesslog.v3.RuntimeFilter runtime_key,1,s percent_sampled,2,~type.v3.FractionalPercent use_independent_randomness,3,b
~config.accesslog.v3.StatusCodeFilter comparison,1,~config.accesslog.v3.ComparisonFilter
~config.accesslog.v3.TraceableFilter
~config.cluster.v3.CircuitBreakers thresholds,1,[~config.cluster.v3.CircuitBreakers.Thresholds per_host_thresholds,2,[~config.cluster.v3.CircuitBreakers.Thresholds
~config.cluster.v3.CircuitBreakers.Thresholds priority,1,~config.core.v3.RoutingPriority max_connections,2,#UInt32Value max_pending_requests,3,#UInt32Value max_requests,4,#UInt32Value max_retries,5,#UInt32Value retry_budget,8,~config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget track_remaining,6,b max_connection_pools,7,#UInt32Value
~config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget budget_percent,1,~type.v3.Percent min_retry_concurrency,2,#UInt32Value
~config.cluster.v3.Cluster transport_socket_matches,43,[~config.cluster.v3.Cluster.TransportSocketMatch name,1,s alt_stat_name,28,s type,2,~config.cluster.v3.Cluster.DiscoveryType cluster_type,38,~config.cluster.v3.Cluster.CustomClusterType eds_cluster_config,3,~config.cluster.v3.Cluster.EdsClusterConfig connect_timeout,4,#Duration per_connection_buffer_limit_bytes,5,#UInt32Value lb_policy,6,~config.cluster.v3.Cluster.LbPolicy load_assignment,33,~config.endpoint.v3.ClusterLoadAssignment max_requests_per_connection,9,#UInt32Value circuit_breakers,10,~config.cluster.v3.CircuitBreakers upstream_http_protocol_options,46,~config.core.v3.UpstreamHttpProtocolOptions common_http_protocol_options,29,~config.core.v3.HttpProtocolOptions http_protocol_options,13,~config.core.v3.Http1ProtocolOptions http2_protocol_options,14,~config.core.v3.Http2ProtocolOptions typed_extension_protocol_options,36,{#Any dns_refresh_rate,16,#Duration dns_failure_refresh_rate,44,~config.cluster.v3.Cluster.RefreshRate respect_dns_ttl,39,b dns_lookup_family,17,~config.cluster.v3.Cluster.DnsLookupFamily dns_resolvers,18,[~config.core.v3.Address use_tcp_for_dns_lookups,45,b dns_resolution_config,53,~config.core.v3.DnsResolutionConfig typed_dns_resolver_config,55,~config.core.v3.TypedExtensionConfig wait_for_warm_on_init,54,#BoolValue outlier_detection,19,~config.cluster.v3.OutlierDetection cleanup_interval,20,#Duration upstream_bind_config,21,~config.core.v3.BindConfig lb_subset_config,22,~config.cluster.v3.Cluster.LbSubsetConfig ring_hash_lb_config,23,~config.cluster.v3.Cluster.RingHashLbConfig maglev_lb_config,52,~config.cluster.v3.Cluster.MaglevLbConfig original_dst_lb_config,34,~config.cluster.v3.Cluster.OriginalDstLbConfig least_request_lb_config,37,~config.cluster.v3.Cluster.LeastRequestLbConfig round_robin_lb_config,56,~config.cluster.v3.Cluster.RoundRobinLbConfig common_lb_config,27,~config.cluster.v3.Cluster.CommonLbConfig transport_socket,24,~config.core.v3.TransportSocket metadata,25,~config.core.v3.Metadata protocol_selection,26,~config.cluster.v3.Cluster.ClusterProtocolSelection upstream_connection_options,30,~config.cluster.v3.UpstreamConnectionOptions close_connections_on_host_health_failure,31,b ignore_health_on_host_removal,32,b filters,40,[~config.cluster.v3.Filter load_balancing_policy,41,~config.cluster.v3.LoadBalancingPolicy lrs_server,42,~config.core.v3.ConfigSource lrs_report_endpoint_metrics,57,[s track_timeout_budgets,47,b upstream_config,48,~config.core.v3.TypedExtensionConfig track_cluster_stats,49,~config.cluster.v3.TrackClusterStats preconnect_policy,50,~config.cluster.v3.Cluster.PreconnectPolicy connection_pool_per_downstream_connection,51,b
~config.cluster.v3.Cluster.ClusterProtocolSelection USE_CONFIGURED_PROTOCOL=0 USE_DOWNSTREAM_PROTOCOL=1
~config.cluster.v3.Cluster.CommonLbConfig healthy_panic_threshold,1,~type.v3.Percent zone_aware_lb_config,2,~config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig locality_weighted_lb_config,3,~config.cluster.v3.Cluster.CommonLbConfig.LocalityWeightedLbConfig update_merge_window,4,#Duration ignore_new_hosts_until_first_hc,5,b close_connections_on_host_set_change,6,b consistent_hashing_lb_config,7,~config.cluster.v3.Cluster.CommonLbConfig.ConsistentHashingLbConfig override_host_status,8,~config.core.v3.HealthStatusSet
~config.cluster.v3.Cluster.CommonLbConfig.ConsistentHashingLbConfig use_hostname_for_hashing,1,b hash_balance_factor,2,#UInt32Value
~config.cluster.v3.Cluster.CommonLbConfig.LocalityWeightedLbConfig
~config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig routing_enabled,1,~type.v3.Percent min_cluster_size,2,#UInt64Value fail_traffic_on_panic,3,b
~config.cluster.v3.Cluster.CustomClusterType name,1,s typed_config,2,#Any
~config.cluster.v3.Cluster.DiscoveryType STATIC=0 STRICT_DNS=1 LOGICAL_DNS=2 EDS=3 ORIGINAL_DST=4
~config.cluster.v3.Cluster.DnsLookupFamily AUTO=0 V4_ONLY=1 V6_ONLY=2 V4_PREFERRED=3 ALL=4
~config.cluster.v3.Cluster.EdsClusterConfig eds_config,1,~config.core.v3.ConfigSource service_name,2,s
~config.cluster.v3.Cluster.LbPolicy ROUND_ROBIN=0 LEAST_REQUEST=1 RING_HASH=2 RANDOM=3 MAGLEV=5 CLUSTER_PROVIDED=6 LOAD_BALANCING_POLICY_CONFIG=7
~config.cluster.v3.Cluster.LbSubsetConfig fallback_policy,1,~config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetFallbackPolicy default_subset,2,#Struct subset_selectors,3,[~config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector locality_weight_aware,4,b scale_locality_weight,5,b panic_mode_any,6,b list_as_any,7,b metadata_fallback_policy,8,~config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetMetadataFallbackPolicy
~config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetFallbackPolicy NO_FALLBACK=0 ANY_ENDPOINT=1 DEFAULT_SUBSET=2
~config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetMetadataFallbackPolicy METADATA_NO_FALLBACK=0 FALLBACK_LIST=1
~config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector keys,1,[s single_host_per_subset,4,b fallback_policy,2,~config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector.LbSubsetSelectorFallbackPolicy fallback_keys_subset,3,[s
~config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector.LbSubsetSelectorFallbackPolicy NOT_DEFINED=0 NO_FALLBACK=1 ANY_ENDPOINT=2 DEFAULT_SUBSET=3 KEYS_SUBSET=4
~config.cluster.v3.Cluster.LeastRequestLbConfig choice_count,1,#UInt32Value active_request_bias,2,~config.core.v3.RuntimeDouble slow_start_config,3,~config.cluster.v3.Cluster.SlowStartConfig
~config.cluster.v3.Cluster.MaglevLbConfig table_size,1,#UInt64Value
~config.cluster.v3.Cluster.OriginalDstLbConfig use_http_header,1,b http_header_name,2,s upstream_port_override,3,#UInt32Value metadata_key,4,~type.metadata.v3.MetadataKey
~config.cluster.v3.Cluster.PreconnectPolicy per_upstream_preconnect_ratio,1,#DoubleValue predictive_preconnect_ratio,2,#DoubleValue
~config.cluster.v3.Cluster.RefreshRate base_interval,1,#Duration max_interval,2,#Duration
~config.cluster.v3.Cluster.RingHashLbConfig minimum_ring_size,1,#UInt64Value hash_function,3,~config.cluster.v3.Cluster.RingHashLbConfig.HashFunction maximum_ring_size,4,#UInt64Value
~config.cluster.v3.Cluster.RingHashLbConfig.HashFunction XX_HASH=0 MURMUR_HASH_2=1
~config.cluster.v3.Cluster.RoundRobinLbConfig slow_start_config,1,~config.cluster.v3.Cluster.SlowStartConfig
~config.cluster.v3.Cluster.SlowStartConfig slow_start_window,1,#Duration aggression,2,~config.core.v3.RuntimeDouble min_weight_percent,3,~type.v3.Percent
~config.cluster.v3.Cluster.TransportSocketMatch name,1,s match,2,#Struct transport_socket,3,~config.core.v3.TransportSocket
~config.cluster.v3.Filter name,1,s typed_config,2,#Any config_discovery,3,~config.core.v3.ExtensionConfigSource
~config.cluster.v3.LoadBalancingPolicy policies,1,[~config.cluster.v3.LoadBalancingPolicy.Policy
~config.cluster.v3.LoadBalancingPolicy.Policy typed_extension_config,4,~config.core.v3.TypedExtensionConfig
~config.cluster.v3.OutlierDetection consecutive_5xx,1,#UInt32Value interval,2,#Duration base_ejection_time,3,#Duration max_ejection_percent,4,#UInt32Value enforcing_consecutive_5xx,5,#UInt32Value enforcing_success_rate,6,#UInt32Value success_rate_minimum_hosts,7,#UInt32Value success_rate_request_volume,8,#UInt32Value success_rate_stdev_factor,9,#UInt32Value consecutive_gateway_failure,10,#UInt32Value enforcing_consecutive_gateway_failure,11,#UInt32Value split_external_local_origin_errors,12,b consecutive_local_origin_failure,13,#UInt32Value enforcing_consecutive_local_origin_failure,14,#UInt32Value enforcing_local_origin_success_rate,15,#UInt32Value failure_percentage_threshold,16,#UInt32Value enforcing_failure_percentage,17,#UInt32Value enforcing_failure_percentage_local_origin,18,#UInt32Value failure_percentage_minimum_hosts,19,#UInt32Value failure_percentage_request_volume,20,#UInt32Value max_ejection_time,21,#Duration max_ejection_time_jitter,22,#Duration successful_active_health_check_uneject_host,23,#BoolValue monitors,24,[~config.core.v3.TypedExtensionConfig always_eject_one_host,25,#BoolValue
~config.cluster.v3.TrackClusterStats timeout_budgets,1,b request_response_sizes,2,b per_endpoint_stats,3,b
~config.cluster.v3.UpstreamConnectionOptions tcp_keepalive,1,~config.core.v3.TcpKeepalive set_local_interface_name_on_upstream_connections,2,b happy_eyeballs_config,3,~config.cluster.v3.UpstreamConnectionOptions.HappyEyeballsConfig
~config.cluster.v3.UpstreamConnectionOptions.FirstAddressFamilyVersion DEFAULT=0 V4=1 V6=2
~config.cluster.v3.UpstreamConnectionOptions.HappyEyeballsConfig first_address_family_version,1,~config.cluster.v3.UpstreamConnectionOptions.FirstAddressFamilyVersion first_address_family_count,2,#UInt32Value
~config.core.v3.Address socket_address,1,~config.core.v3.SocketAddress pipe,2,~config.core.v3.Pipe envoy_internal_address,3,~config.core.v3.EnvoyInternalAddress
~config.core.v3.AggregatedConfigSource
~config.core.v3.AlternateProtocolsCacheOptions name,1,s max_entries,2,#UInt32Value key_value_store_config,3,~config.core.v3.TypedExtensionConfig prepopulated_entries,4,[~config.core.v3.AlternateProtocolsCacheOptions.AlternateProtocolsCacheEntry canonical_suffixes,5,[s
~config.core.v3.AlternateProtocolsCacheOptions.AlternateProtocolsCacheEntry hostname,1,s port,2,i
~config.core.v3.ApiConfigSource api_type,1,~config.core.v3.ApiConfigSource.ApiType transport_api_version,8,~config.core.v3.ApiVersion cluster_names,2,[s grpc_services,4,[~config.core.v3.GrpcService refresh_delay,3,#Duration request_timeout,5,#Duration rate_limit_settings,6,~config.core.v3.RateLimitSettings set_node_on_first_message_only,7,b config_validators,9,[~config.core.v3.TypedExtensionConfig
~config.core.v3.ApiConfigSource.ApiType DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE=0 REST=1 GRPC=2 DELTA_GRPC=3 AGGREGATED_GRPC=5 AGGREGATED_DELTA_GRPC=6
~config.core.v3.ApiVersion AUTO=0 V2=1 V3=2
~config.core.v3.BackoffStrategy base_interval,1,#Duration max_interval,2,#Duration
~config.core.v3.BindConfig source_address,1,~config.core.v3.SocketAddress freebind,2,#BoolValue socket_options,3,[~config.core.v3.SocketOption extra_source_addresses,5,[~config.core.v3.ExtraSourceAddress additional_source_addresses,4,[~config.core.v3.SocketAddress local_address_selector,6,~config.core.v3.TypedExtensionConfig
~config.core.v3.BuildVersion version,1,~type.v3.SemanticVersion metadata,2,#Struct
~config.core.v3.CidrRange address_prefix,1,s prefix_len,2,#UInt32Value
~config.core.v3.ConfigSource authorities,7,[xds.core.v3.Authority path,1,s path_config_source,8,~config.core.v3.PathConfigSource api_config_source,2,~config.core.v3.ApiConfigSource ads,3,~config.core.v3.AggregatedConfigSource self,5,~config.core.v3.SelfConfigSource initial_fetch_timeout,4,#Duration resource_api_version,6,~config.core.v3.ApiVersion
~config.core.v3.ControlPlane identifier,1,s
~config.core.v3.DataSource filename,1,s inline_bytes,2,y inline_string,3,s environment_variable,4,s watched_directory,5,~config.core.v3.WatchedDirectory
~config.core.v3.DnsResolutionConfig resolvers,1,[~config.core.v3.Address dns_resolver_options,2,~config.core.v3.DnsResolverOptions
~config.core.v3.DnsResolverOptions use_tcp_for_dns_lookups,1,b no_default_search_domain,2,b
~config.core.v3.EnvoyInternalAddress server_listener_name,1,s endpoint_id,2,s
~config.core.v3.Extension name,1,s category,2,s type_descriptor,3,s version,4,~config.core.v3.BuildVersion disabled,5,b type_urls,6,[s
~config.core.v3.ExtensionConfigSource config_source,1,~config.core.v3.ConfigSource default_config,2,#Any apply_default_config_without_warming,3,b type_urls,4,[s
~config.core.v3.ExtraSourceAddress address,1,~config.core.v3.SocketAddress socket_options,2,~config.core.v3.SocketOptionsOverride
~config.core.v3.GrpcService envoy_grpc,1,~config.core.v3.GrpcService.EnvoyGrpc timeout,3,#Duration initial_metadata,5,[~config.core.v3.HeaderValue retry_policy,6,~config.core.v3.RetryPolicy
~config.core.v3.GrpcService.EnvoyGrpc cluster_name,1,s authority,2,s retry_policy,3,~config.core.v3.RetryPolicy max_receive_message_length,4,#UInt32Value skip_envoy_headers,5,b
~config.core.v3.HeaderValue key,1,s value,2,s raw_value,3,y
~config.core.v3.HeaderValueOption header,1,~config.core.v3.HeaderValue append,2,#BoolValue append_action,3,~config.core.v3.HeaderValueOption.HeaderAppendAction keep_empty_value,4,b
~config.core.v3.HeaderValueOption.HeaderAppendAction APPEND_IF_EXISTS_OR_ADD=0 ADD_IF_ABSENT=1 OVERWRITE_IF_EXISTS_OR_ADD=2 OVERWRITE_IF_EXISTS=3
~config.core.v3.HealthStatus UNKNOWN=0 HEALTHY=1 UNHEALTHY=2 DRAINING=3 TIMEOUT=4 DEGRADED=5
~config.core.v3.HealthStatusSet statuses,1,[~config.core.v3.HealthStatus
~config.core.v3.Http1ProtocolOptions allow_absolute_url,1,#BoolValue accept_http_10,2,b default_host_for_http_10,3,s header_key_format,4,~config.core.v3.Http1ProtocolOptions.HeaderKeyFormat enable_trailers,5,b allow_chunked_length,6,b override_stream_error_on_invalid_http_message,7,#BoolValue send_fully_qualified_url,8,b use_balsa_parser,9,#BoolValue allow_custom_methods,10,b
~config.core.v3.Http1ProtocolOptions.HeaderKeyFormat proper_case_words,1,~config.core.v3.Http1ProtocolOptions.HeaderKeyFormat.ProperCaseWords stateful_formatter,8,~config.core.v3.TypedExtensionConfig
~config.core.v3.Http1ProtocolOptions.HeaderKeyFormat.ProperCaseWords
~config.core.v3.Http2ProtocolOptions hpack_table_size,1,#UInt32Value max_concurrent_streams,2,#UInt32Value initial_stream_window_size,3,#UInt32Value initial_connection_window_size,4,#UInt32Value allow_connect,5,b allow_metadata,6,b max_outbound_frames,7,#UInt32Value max_outbound_control_frames,8,#UInt32Value max_consecutive_inbound_frames_with_empty_payload,9,#UInt32Value max_inbound_priority_frames_per_stream,10,#UInt32Value max_inbound_window_update_frames_per_data_frame_sent,11,#UInt32Value stream_error_on_invalid_http_messaging,12,b override_stream_error_on_invalid_http_message,14,#BoolValue custom_settings_parameters,13,[~config.core.v3.Http2ProtocolOptions.SettingsParameter connection_keepalive,15,~config.core.v3.KeepaliveSettings use_oghttp2_codec,16,#BoolValue
~config.core.v3.Http2ProtocolOptions.SettingsParameter identifier,1,#UInt32Value value,2,#UInt32Value
~config.core.v3.Http3ProtocolOptions quic_protocol_options,1,~config.core.v3.QuicProtocolOptions override_stream_error_on_invalid_http_message,2,#BoolValue allow_extended_connect,5,b allow_metadata,6,b
~config.core.v3.HttpProtocolOptions idle_timeout,1,#Duration max_connection_duration,3,#Duration max_headers_count,2,#UInt32Value max_stream_duration,4,#Duration headers_with_underscores_action,5,~config.core.v3.HttpProtocolOptions.HeadersWithUnderscoresAction max_requests_per_connection,6,#UInt32Value
~config.core.v3.HttpProtocolOptions.HeadersWithUnderscoresAction ALLOW=0 REJECT_REQUEST=1 DROP_HEADER=2
~config.core.v3.JsonFormatOptions sort_properties,1,b
~config.core.v3.KeepaliveSettings interval,1,#Duration timeout,2,#Duration interval_jitter,3,~type.v3.Percent connection_idle_interval,4,#Duration
~config.core.v3.Locality region,1,s zone,2,s sub_zone,3,s
~config.core.v3.Metadata filter_metadata,1,{#Struct typed_filter_metadata,2,{#Any
~config.core.v3.Node id,1,s cluster,2,s metadata,3,#Struct dynamic_parameters,12,{xds.core.v3.ContextParams locality,4,~config.core.v3.Locality user_agent_name,6,s user_agent_version,7,s user_agent_build_version,8,~config.core.v3.BuildVersion extensions,9,[~config.core.v3.Extension client_features,10,[s listening_addresses,11,[~config.core.v3.Address
~config.core.v3.PathConfigSource path,1,s watched_directory,2,~config.core.v3.WatchedDirectory
~config.core.v3.Pipe path,1,s mode,2,i
~config.core.v3.ProxyProtocolConfig version,1,~config.core.v3.ProxyProtocolConfig.Version pass_through_tlvs,2,~config.core.v3.ProxyProtocolPassThroughTLVs
~config.core.v3.ProxyProtocolConfig.Version V1=0 V2=1
~config.core.v3.ProxyProtocolPassThroughTLVs match_type,1,~config.core.v3.ProxyProtocolPassThroughTLVs.PassTLVsMatchType tlv_type,2,[i
~config.core.v3.ProxyProtocolPassThroughTLVs.PassTLVsMatchType INCLUDE_ALL=0 INCLUDE=1
~config.core.v3.QuicKeepAliveSettings max_interval,1,#Duration initial_interval,2,#Duration
~config.core.v3.QuicProtocolOptions max_concurrent_streams,1,#UInt32Value initial_stream_window_size,2,#UInt32Value initial_connection_window_size,3,#UInt32Value num_timeouts_to_trigger_port_migration,4,#UInt32Value connection_keepalive,5,~config.core.v3.QuicKeepAliveSettings connection_options,6,s client_connection_options,7,s idle_network_timeout,8,#Duration
~config.core.v3.RateLimitSettings max_tokens,1,#UInt32Value fill_rate,2,#DoubleValue
~config.core.v3.RequestMethod METHOD_UNSPECIFIED=0 GET=1 HEAD=2 POST=3 PUT=4 DELETE=5 CONNECT=6 OPTIONS=7 TRACE=8 PATCH=9
~config.core.v3.RetryPolicy retry_back_off,1,~config.core.v3.BackoffStrategy num_retries,2,#UInt32Value retry_on,3,s retry_priority,4,~config.core.v3.RetryPolicy.RetryPriority retry_host_predicate,5,[~config.core.v3.RetryPolicy.RetryHostPredicate host_selection_retry_max_attempts,6,i
~config.core.v3.RetryPolicy.RetryHostPredicate name,1,s typed_config,2,#Any
~config.core.v3.RetryPolicy.RetryPriority name,1,s typed_config,2,#Any
~config.core.v3.RoutingPriority DEFAULT=0 HIGH=1
~config.core.v3.RuntimeDouble default_value,1,d runtime_key,2,s
~config.core.v3.RuntimeFeatureFlag default_value,1,#BoolValue runtime_key,2,s
~config.core.v3.RuntimeFractionalPercent default_value,1,~type.v3.FractionalPercent runtime_key,2,s
~config.core.v3.RuntimeUInt32 default_value,2,i runtime_key,3,s
~config.core.v3.SchemeHeaderTransformation scheme_to_overwrite,1,s match_upstream,2,b
~config.core.v3.SelfConfigSource transport_api_version,1,~config.core.v3.ApiVersion
~config.core.v3.SocketAddress protocol,1,~config.core.v3.SocketAddress.Protocol address,2,s port_value,3,i named_port,4,s resolver_name,5,s ipv4_compat,6,b
~config.core.v3.SocketAddress.Protocol TCP=0 UDP=1
~config.core.v3.SocketOption description,1,s level,2,i name,3,i int_value,4,i buf_value,5,y state,6,~config.core.v3.SocketOption.SocketState
~config.core.v3.SocketOption.SocketState STATE_PREBIND=0 STATE_BOUND=1 STATE_LISTENING=2
~config.core.v3.SocketOptionsOverride socket_options,1,[~config.core.v3.SocketOption
~config.core.v3.SubstitutionFormatString text_format,1,s json_format,2,#Struct text_format_source,5,~config.core.v3.DataSource omit_empty_values,3,b content_type,4,s formatters,6,[~config.core.v3.TypedExtensionConfig json_format_options,7,~config.core.v3.JsonFormatOptions
~config.core.v3.TcpKeepalive keepalive_probes,1,#UInt32Value keepalive_time,2,#UInt32Value keepalive_interval,3,#UInt32Value
~config.core.v3.TrafficDirection UNSPECIFIED=0 INBOUND=1 OUTBOUND=2
~config.core.v3.TransportSocket name,1,s typed_config,3,#Any
~config.core.v3.TypedExtensionConfig name,1,s typed_config,2,#Any
~config.core.v3.UdpSocketConfig max_rx_datagram_size,1,#UInt64Value prefer_gro,2,#BoolValue
~config.core.v3.UpstreamHttpProtocolOptions auto_sni,1,b auto_san_validation,2,b override_auto_sni_header,3,s
~config.core.v3.WatchedDirectory path,1,s
~config.endpoint.v3.ClusterLoadAssignment cluster_name,1,s endpoints,2,[~config.endpoint.v3.LocalityLbEndpoints named_endpoints,5,{~config.endpoint.v3.Endpoint policy,4,~config.endpoint.v3.ClusterLoadAssignment.Policy
~config.endpoint.v3.ClusterLoadAssignment.Policy drop_overloads,2,[~config.endpoint.v3.ClusterLoadAssignment.Policy.DropOverload overprovisioning_factor,3,#UInt32Value endpoint_stale_after,4,#Duration weighted_priority_health,6,b
~config.endpoint.v3.ClusterLoadAssignment.Policy.DropOverload category,1,s drop_percentage,2,~type.v3.FractionalPercent
~config.endpoint.v3.Endpoint address,1,~config.core.v3.Address health_check_config,2,~config.endpoint.v3.Endpoint.HealthCheckConfig hostname,3,s additional_addresses,4,[~config.endpoint.v3.Endpoint.AdditionalAddress
~config.endpoint.v3.Endpoint.AdditionalAddress address,1,~config.core.v3.Address
~config.endpoint.v3.Endpoint.HealthCheckConfig port_value,1,i hostname,2,s address,3,~config.core.v3.Address disable_active_health_check,4,b
~config.endpoint.v3.LbEndpoint endpoint,1,~config.endpoint.v3.Endpoint endpoint_name,5,s health_status,2,~config.core.v3.HealthStatus metadata,3,~config.core.v3.Metadata load_balancing_weight,4,#UInt32Value
~config.endpoint.v3.LedsClusterLocalityConfig leds_config,1,~config.core.v3.ConfigSource leds_collection_name,2,s
~config.endpoint.v3.LocalityLbEndpoints locality,1,~config.core.v3.Locality metadata,9,~config.core.v3.Metadata lb_endpoints,2,[~config.endpoint.v3.LbEndpoint load_balancer_endpoints,7,~config.endpoint.v3.LocalityLbEndpoints.LbEndpointList leds_cluster_locality_config,8,~config.endpoint.v3.LedsClusterLocalityConfig load_balancing_weight,3,#UInt32Value priority,5,i proximity,6,#UInt32Value
~config.endpoint.v3.LocalityLbEndpoints.LbEndpointList lb_endpoints,1,[~config.endpoint.v3.LbEndpoint
~config.listener.v3.AdditionalAddress address,1,~config.core.v3.Address socket_options,2,~config.core.v3.SocketOptionsOverride
~config.listener.v3.ApiListener api_listener,1,#Any
~config.listener.v3.Filter name,1,s typed_config,4,#Any config_discovery,5,~config.core.v3.ExtensionConfigSource
~config.listener.v3.FilterChain filter_chain_match,1,~config.listener.v3.FilterChainMatch filters,3,[~config.listener.v3.Filter use_proxy_proto,4,#BoolValue metadata,5,~config.core.v3.Metadata transport_socket,6,~config.core.v3.TransportSocket transport_socket_connect_timeout,9,#Duration name,7,s on_demand_configuration,8,~config.listener.v3.FilterChain.OnDemandConfiguration
~config.listener.v3.FilterChain.OnDemandConfiguration rebuild_timeout,1,#Duration
~config.listener.v3.FilterChainMatch destination_port,8,#UInt32Value prefix_ranges,3,[~config.core.v3.CidrRange address_suffix,4,s suffix_len,5,#UInt32Value direct_source_prefix_ranges,13,[~config.core.v3.CidrRange source_type,12,~config.listener.v3.FilterChainMatch.ConnectionSourceType source_prefix_ranges,6,[~config.core.v3.CidrRange source_ports,7,[i server_names,11,[s transport_protocol,9,s application_protocols,10,[s
~config.listener.v3.FilterChainMatch.ConnectionSourceType ANY=0 SAME_IP_OR_LOOPBACK=1 EXTERNAL=2
~config.listener.v3.Listener name,1,s address,2,~config.core.v3.Address additional_addresses,33,[~config.listener.v3.AdditionalAddress stat_prefix,28,s filter_chains,3,[~config.listener.v3.FilterChain filter_chain_matcher,32,xds.type.matcher.v3.Matcher use_original_dst,4,#BoolValue default_filter_chain,25,~config.listener.v3.FilterChain per_connection_buffer_limit_bytes,5,#UInt32Value metadata,6,~config.core.v3.Metadata deprecated_v1,7,~config.listener.v3.Listener.DeprecatedV1 drain_type,8,~config.listener.v3.Listener.DrainType listener_filters,9,[~config.listener.v3.ListenerFilter listener_filters_timeout,15,#Duration continue_on_listener_filters_timeout,17,b transparent,10,#BoolValue freebind,11,#BoolValue socket_options,13,[~config.core.v3.SocketOption tcp_fast_open_queue_length,12,#UInt32Value traffic_direction,16,~config.core.v3.TrafficDirection udp_listener_config,18,~config.listener.v3.UdpListenerConfig api_listener,19,~config.listener.v3.ApiListener connection_balance_config,20,~config.listener.v3.Listener.ConnectionBalanceConfig reuse_port,21,b enable_reuse_port,29,#BoolValue access_log,22,[~config.accesslog.v3.AccessLog tcp_backlog_size,24,#UInt32Value max_connections_to_accept_per_socket_event,34,#UInt32Value bind_to_port,26,#BoolValue internal_listener,27,~config.listener.v3.Listener.InternalListenerConfig enable_mptcp,30,b ignore_global_conn_limit,31,b bypass_overload_manager,35,b
~config.listener.v3.Listener.ConnectionBalanceConfig exact_balance,1,~config.listener.v3.Listener.ConnectionBalanceConfig.ExactBalance extend_balance,2,~config.core.v3.TypedExtensionConfig
~config.listener.v3.Listener.ConnectionBalanceConfig.ExactBalance
~config.listener.v3.Listener.DeprecatedV1 bind_to_port,1,#BoolValue
~config.listener.v3.Listener.DrainType DEFAULT=0 MODIFY_ONLY=1
~config.listener.v3.Listener.InternalListenerConfig
~config.listener.v3.ListenerFilter name,1,s typed_config,3,#Any config_discovery,5,~config.core.v3.ExtensionConfigSource filter_disabled,4,~config.listener.v3.ListenerFilterChainMatchPredicate
~config.listener.v3.ListenerFilterChainMatchPredicate or_match,1,~config.listener.v3.ListenerFilterChainMatchPredicate.MatchSet and_match,2,~config.listener.v3.ListenerFilterChainMatchPredicate.MatchSet not_match,3,~config.listener.v3.ListenerFilterChainMatchPredicate any_match,4,b destination_port_range,5,~type.v3.Int32Range
~config.listener.v3.ListenerFilterChainMatchPredicate.MatchSet rules,1,[~config.listener.v3.ListenerFilterChainMatchPredicate
~config.listener.v3.QuicProtocolOptions quic_protocol_options,1,~config.core.v3.QuicProtocolOptions idle_timeout,2,#Duration crypto_handshake_timeout,3,#Duration enabled,4,~config.core.v3.RuntimeFeatureFlag packets_to_read_to_connection_count_ratio,5,#UInt32Value crypto_stream_config,6,~config.core.v3.TypedExtensionConfig proof_source_config,7,~config.core.v3.TypedExtensionConfig connection_id_generator_config,8,~config.core.v3.TypedExtensionConfig server_preferred_address_config,9,~config.core.v3.TypedExtensionConfig send_disable_active_migration,10,#BoolValue connection_debug_visitor_config,11,~config.core.v3.TypedExtensionConfig
~config.listener.v3.UdpListenerConfig downstream_socket_config,5,~config.core.v3.UdpSocketConfig quic_options,7,~config.listener.v3.QuicProtocolOptions udp_packet_packet_writer_config,8,~config.core.v3.TypedExtensionConfig
~config.rbac.v3.Permission and_rules,1,~config.rbac.v3.Permission.Set or_rules,2,~config.rbac.v3.Permission.Set any,3,b header,4,~config.route.v3.HeaderMatcher url_path,10,~type.matcher.v3.PathMatcher destination_ip,5,~config.core.v3.CidrRange destination_port,6,i destination_port_range,11,~type.v3.Int32Range metadata,7,~type.matcher.v3.MetadataMatcher not_rule,8,~config.rbac.v3.Permission requested_server_name,9,~type.matcher.v3.StringMatcher matcher,12,~config.core.v3.TypedExtensionConfig uri_template,13,~config.core.v3.TypedExtensionConfig
~config.rbac.v3.Permission.Set rules,1,[~config.rbac.v3.Permission
~config.rbac.v3.Policy permissions,1,[~config.rbac.v3.Permission principals,2,[~config.rbac.v3.Principal
~config.rbac.v3.Principal and_ids,1,~config.rbac.v3.Principal.Set or_ids,2,~config.rbac.v3.Principal.Set any,3,b authenticated,4,~config.rbac.v3.Principal.Authenticated source_ip,5,~config.core.v3.CidrRange direct_remote_ip,10,~config.core.v3.CidrRange remote_ip,11,~config.core.v3.CidrRange header,6,~config.route.v3.HeaderMatcher url_path,9,~type.matcher.v3.PathMatcher metadata,7,~type.matcher.v3.MetadataMatcher filter_state,12,~type.matcher.v3.FilterStateMatcher not_id,8,~config.rbac.v3.Principal
~config.rbac.v3.Principal.Authenticated principal_name,2,~type.matcher.v3.StringMatcher
~config.rbac.v3.Principal.Set ids,1,[~config.rbac.v3.Principal
~config.rbac.v3.RBAC action,1,~config.rbac.v3.RBAC.Action policies,2,{~config.rbac.v3.Policy audit_logging_options,3,~config.rbac.v3.RBAC.AuditLoggingOptions
~config.rbac.v3.RBAC.Action ALLOW=0 DENY=1 LOG=2
~config.rbac.v3.RBAC.AuditLoggingOptions audit_condition,1,~config.rbac.v3.RBAC.AuditLoggingOptions.AuditCondition logger_configs,2,[~config.rbac.v3.RBAC.AuditLoggingOptions.AuditLoggerConfig
~config.rbac.v3.RBAC.AuditLoggingOptions.AuditCondition NONE=0 ON_DENY=1 ON_ALLOW=2 ON_DENY_AND_ALLOW=3
~config.rbac.v3.RBAC.AuditLoggingOptions.AuditLoggerConfig audit_logger,1,~config.core.v3.TypedExtensionConfig is_optional,2,b
~config.route.v3.ClusterSpecifierPlugin extension,1,~config.core.v3.TypedExtensionConfig is_optional,2,b
~config.route.v3.CorsPolicy allow_origin_string_match,11,[~type.matcher.v3.StringMatcher allow_methods,2,s allow_headers,3,s expose_headers,4,s max_age,5,s allow_credentials,6,#BoolValue filter_enabled,9,~config.core.v3.RuntimeFractionalPercent shadow_enabled,10,~config.core.v3.RuntimeFractionalPercent allow_private_network_access,12,#BoolValue forward_not_matching_preflights,13,#BoolValue
~config.route.v3.Decorator operation,1,s propagate,2,#BoolValue
~config.route.v3.DirectResponseAction status,1,i body,2,~config.core.v3.DataSource
~config.route.v3.FilterAction action,1,#Any
~config.route.v3.HeaderMatcher name,1,s exact_match,4,s safe_regex_match,11,~type.matcher.v3.RegexMatcher range_match,6,~type.v3.Int64Range present_match,7,b prefix_match,9,s suffix_match,10,s contains_match,12,s string_match,13,~type.matcher.v3.StringMatcher invert_match,8,b treat_missing_header_as_empty,14,b
~config.route.v3.HedgePolicy initial_requests,1,#UInt32Value additional_request_chance,2,~type.v3.FractionalPercent hedge_on_per_try_timeout,3,b
~config.route.v3.InternalRedirectPolicy max_internal_redirects,1,#UInt32Value redirect_response_codes,2,[i predicates,3,[~config.core.v3.TypedExtensionConfig allow_cross_scheme_redirect,4,b response_headers_to_copy,5,[s
~config.route.v3.NonForwardingAction
~config.route.v3.QueryParameterMatcher name,1,s string_match,5,~type.matcher.v3.StringMatcher present_match,6,b
~config.route.v3.RedirectAction https_redirect,4,b scheme_redirect,7,s host_redirect,1,s port_redirect,8,i path_redirect,2,s prefix_rewrite,5,s regex_rewrite,9,~type.matcher.v3.RegexMatchAndSubstitute response_code,3,~config.route.v3.RedirectAction.RedirectResponseCode strip_query,6,b
~config.route.v3.RedirectAction.RedirectResponseCode MOVED_PERMANENTLY=0 FOUND=1 SEE_OTHER=2 TEMPORARY_REDIRECT=3 PERMANENT_REDIRECT=4
~config.route.v3.RetryPolicy retry_on,1,s num_retries,2,#UInt32Value per_try_timeout,3,#Duration per_try_idle_timeout,13,#Duration retry_priority,4,~config.route.v3.RetryPolicy.RetryPriority retry_host_predicate,5,[~config.route.v3.RetryPolicy.RetryHostPredicate retry_options_predicates,12,[~config.core.v3.TypedExtensionConfig host_selection_retry_max_attempts,6,i retriable_status_codes,7,[i retry_back_off,8,~config.route.v3.RetryPolicy.RetryBackOff rate_limited_retry_back_off,11,~config.route.v3.RetryPolicy.RateLimitedRetryBackOff retriable_headers,9,[~config.route.v3.HeaderMatcher retriable_request_headers,10,[~config.route.v3.HeaderMatcher
~config.route.v3.RetryPolicy.RateLimitedRetryBackOff reset_headers,1,[~config.route.v3.RetryPolicy.ResetHeader max_interval,2,#Duration
~config.route.v3.RetryPolicy.ResetHeader name,1,s format,2,~config.route.v3.RetryPolicy.ResetHeaderFormat
~config.route.v3.RetryPolicy.ResetHeaderFormat SECONDS=0 UNIX_TIMESTAMP=1
~config.route.v3.RetryPolicy.RetryBackOff base_interval,1,#Duration max_interval,2,#Duration
~config.route.v3.RetryPolicy.RetryHostPredicate name,1,s typed_config,3,#Any
~config.route.v3.RetryPolicy.RetryPriority name,1,s typed_config,3,#Any
~config.route.v3.Route name,14,s match,1,~config.route.v3.RouteMatch route,2,~config.route.v3.RouteAction redirect,3,~config.route.v3.RedirectAction direct_response,7,~config.route.v3.DirectResponseAction filter_action,17,~config.route.v3.FilterAction non_forwarding_action,18,~config.route.v3.NonForwardingAction metadata,4,~config.core.v3.Metadata decorator,5,~config.route.v3.Decorator typed_per_filter_config,13,{#Any request_headers_to_add,9,[~config.core.v3.HeaderValueOption request_headers_to_remove,12,[s response_headers_to_add,10,[~config.core.v3.HeaderValueOption response_headers_to_remove,11,[s tracing,15,~config.route.v3.Tracing per_request_buffer_limit_bytes,16,#UInt32Value stat_prefix,19,s
~config.route.v3.RouteAction cluster,1,s cluster_header,2,s weighted_clusters,3,~config.route.v3.WeightedCluster cluster_specifier_plugin,37,s inline_cluster_specifier_plugin,39,~config.route.v3.ClusterSpecifierPlugin cluster_not_found_response_code,20,~config.route.v3.RouteAction.ClusterNotFoundResponseCode metadata_match,4,~config.core.v3.Metadata prefix_rewrite,5,s regex_rewrite,32,~type.matcher.v3.RegexMatchAndSubstitute path_rewrite_policy,41,~config.core.v3.TypedExtensionConfig host_rewrite_literal,6,s auto_host_rewrite,7,#BoolValue host_rewrite_header,29,s host_rewrite_path_regex,35,~type.matcher.v3.RegexMatchAndSubstitute append_x_forwarded_host,38,b timeout,8,#Duration idle_timeout,24,#Duration early_data_policy,40,~config.core.v3.TypedExtensionConfig retry_policy,9,~config.route.v3.RetryPolicy retry_policy_typed_config,33,#Any request_mirror_policies,30,[~config.route.v3.RouteAction.RequestMirrorPolicy priority,11,~config.core.v3.RoutingPriority include_vh_rate_limits,14,#BoolValue hash_policy,15,[~config.route.v3.RouteAction.HashPolicy cors,17,~config.route.v3.CorsPolicy max_grpc_timeout,23,#Duration grpc_timeout_offset,28,#Duration upgrade_configs,25,[~config.route.v3.RouteAction.UpgradeConfig internal_redirect_policy,34,~config.route.v3.InternalRedirectPolicy internal_redirect_action,26,~config.route.v3.RouteAction.InternalRedirectAction max_internal_redirects,31,#UInt32Value hedge_policy,27,~config.route.v3.HedgePolicy max_stream_duration,36,~config.route.v3.RouteAction.MaxStreamDuration
~config.route.v3.RouteAction.ClusterNotFoundResponseCode SERVICE_UNAVAILABLE=0 NOT_FOUND=1 INTERNAL_SERVER_ERROR=2
~config.route.v3.RouteAction.HashPolicy header,1,~config.route.v3.RouteAction.HashPolicy.Header cookie,2,~config.route.v3.RouteAction.HashPolicy.Cookie connection_properties,3,~config.route.v3.RouteAction.HashPolicy.ConnectionProperties query_parameter,5,~config.route.v3.RouteAction.HashPolicy.QueryParameter filter_state,6,~config.route.v3.RouteAction.HashPolicy.FilterState terminal,4,b
~config.route.v3.RouteAction.HashPolicy.ConnectionProperties source_ip,1,b
~config.route.v3.RouteAction.HashPolicy.Cookie name,1,s ttl,2,#Duration path,3,s attributes,4,[~config.route.v3.RouteAction.HashPolicy.CookieAttribute
~config.route.v3.RouteAction.HashPolicy.CookieAttribute name,1,s value,2,s
~config.route.v3.RouteAction.HashPolicy.FilterState key,1,s
~config.route.v3.RouteAction.HashPolicy.Header header_name,1,s regex_rewrite,2,~type.matcher.v3.RegexMatchAndSubstitute
~config.route.v3.RouteAction.HashPolicy.QueryParameter name,1,s
~config.route.v3.RouteAction.InternalRedirectAction PASS_THROUGH_INTERNAL_REDIRECT=0 HANDLE_INTERNAL_REDIRECT=1
~config.route.v3.RouteAction.MaxStreamDuration max_stream_duration,1,#Duration grpc_timeout_header_max,2,#Duration grpc_timeout_header_offset,3,#Duration
~config.route.v3.RouteAction.RequestMirrorPolicy cluster,1,s cluster_header,5,s runtime_fraction,3,~config.core.v3.RuntimeFractionalPercent trace_sampled,4,#BoolValue disable_shadow_host_suffix_append,6,b
~config.route.v3.RouteAction.UpgradeConfig upgrade_type,1,s enabled,2,#BoolValue connect_config,3,~config.route.v3.RouteAction.UpgradeConfig.ConnectConfig
~config.route.v3.RouteAction.UpgradeConfig.ConnectConfig proxy_protocol_config,1,~config.core.v3.ProxyProtocolConfig allow_post,2,b
~config.route.v3.RouteConfiguration name,1,s virtual_hosts,2,[~config.route.v3.VirtualHost vhds,9,~config.route.v3.Vhds internal_only_headers,3,[s response_headers_to_add,4,[~config.core.v3.HeaderValueOption response_headers_to_remove,5,[s request_headers_to_add,6,[~config.core.v3.HeaderValueOption request_headers_to_remove,8,[s most_specific_header_mutations_wins,10,b validate_clusters,7,#BoolValue max_direct_response_body_size_bytes,11,#UInt32Value cluster_specifier_plugins,12,[~config.route.v3.ClusterSpecifierPlugin request_mirror_policies,13,[~config.route.v3.RouteAction.RequestMirrorPolicy ignore_port_in_host_matching,14,b ignore_path_parameters_in_path_matching,15,b typed_per_filter_config,16,{#Any metadata,17,~config.core.v3.Metadata
~config.route.v3.RouteMatch prefix,1,s path,2,s safe_regex,10,~type.matcher.v3.RegexMatcher connect_matcher,12,~config.route.v3.RouteMatch.ConnectMatcher path_separated_prefix,14,s path_match_policy,15,~config.core.v3.TypedExtensionConfig case_sensitive,4,#BoolValue runtime_fraction,9,~config.core.v3.RuntimeFractionalPercent headers,6,[~config.route.v3.HeaderMatcher query_parameters,7,[~config.route.v3.QueryParameterMatcher grpc,8,~config.route.v3.RouteMatch.GrpcRouteMatchOptions tls_context,11,~config.route.v3.RouteMatch.TlsContextMatchOptions dynamic_metadata,13,[~type.matcher.v3.MetadataMatcher
~config.route.v3.RouteMatch.ConnectMatcher
~config.route.v3.RouteMatch.GrpcRouteMatchOptions
~config.route.v3.RouteMatch.TlsContextMatchOptions presented,1,#BoolValue validated,2,#BoolValue
~config.route.v3.ScopedRouteConfiguration on_demand,4,b name,1,s route_configuration_name,2,s route_configuration,5,~config.route.v3.RouteConfiguration key,3,~config.route.v3.ScopedRouteConfiguration.Key
~config.route.v3.ScopedRouteConfiguration.Key fragments,1,[~config.route.v3.ScopedRouteConfiguration.Key.Fragment
~config.route.v3.ScopedRouteConfiguration.Key.Fragment string_key,1,s
~config.route.v3.Tracing client_sampling,1,~type.v3.FractionalPercent random_sampling,2,~type.v3.FractionalPercent overall_sampling,3,~type.v3.FractionalPercent custom_tags,4,[~type.tracing.v3.CustomTag
~config.route.v3.Vhds config_source,1,~config.core.v3.ConfigSource
~config.route.v3.VirtualCluster headers,4,[~config.route.v3.HeaderMatcher name,2,s
~config.route.v3.VirtualHost name,1,s domains,2,[s routes,3,[~config.route.v3.Route matcher,21,xds.type.matcher.v3.Matcher require_tls,4,~config.route.v3.VirtualHost.TlsRequirementType virtual_clusters,5,[~config.route.v3.VirtualCluster request_headers_to_add,7,[~config.core.v3.HeaderValueOption request_headers_to_remove,13,[s response_headers_to_add,10,[~config.core.v3.HeaderValueOption response_headers_to_remove,11,[s cors,8,~config.route.v3.CorsPolicy typed_per_filter_config,15,{#Any include_request_attempt_count,14,b include_attempt_count_in_response,19,b retry_policy,16,~config.route.v3.RetryPolicy retry_policy_typed_config,20,#Any hedge_policy,17,~config.route.v3.HedgePolicy include_is_timeout_retry_header,23,b per_request_buffer_limit_bytes,18,#UInt32Value request_mirror_policies,22,[~config.route.v3.RouteAction.RequestMirrorPolicy metadata,24,~config.core.v3.Metadata
~config.route.v3.VirtualHost.TlsRequirementType NONE=0 EXTERNAL_ONLY=1 ALL=2
~config.route.v3.WeightedCluster clusters,1,[~config.route.v3.WeightedCluster.ClusterWeight total_weight,3,#UInt32Value runtime_key_prefix,2,s header_name,4,s
~config.route.v3.WeightedCluster.ClusterWeight name,1,s cluster_header,12,s weight,2,#UInt32Value metadata_match,3,~config.core.v3.Metadata request_headers_to_add,4,[~config.core.v3.HeaderValueOption request_headers_to_remove,9,[s response_headers_to_add,5,[~config.core.v3.HeaderValueOption response_headers_to_remove,6,[s typed_per_filter_config,10,{#Any host_rewrite_literal,11,s
~config.trace.v3.Tracing.Http name,1,s typed_config,3,#Any
~data.accesslog.v3.AccessLogCommon sample_rate,1,d downstream_remote_address,2,~config.core.v3.Address downstream_local_address,3,~config.core.v3.Address tls_properties,4,~data.accesslog.v3.TLSProperties start_time,5,#Timestamp time_to_last_rx_byte,6,#Duration time_to_first_upstream_tx_byte,7,#Duration time_to_last_upstream_tx_byte,8,#Duration time_to_first_upstream_rx_byte,9,#Duration time_to_last_upstream_rx_byte,10,#Duration time_to_first_downstream_tx_byte,11,#Duration time_to_last_downstream_tx_byte,12,#Duration upstream_remote_address,13,~config.core.v3.Address upstream_local_address,14,~config.core.v3.Address upstream_cluster,15,s response_flags,16,~data.accesslog.v3.ResponseFlags metadata,17,~config.core.v3.Metadata upstream_transport_failure_reason,18,s route_name,19,s downstream_direct_remote_address,20,~config.core.v3.Address filter_state_objects,21,{#Any custom_tags,22,{s duration,23,#Duration upstream_request_attempt_count,24,i connection_termination_details,25,s stream_id,26,s intermediate_log_entry,27,b downstream_transport_failure_reason,28,s downstream_wire_bytes_sent,29,i downstream_wire_bytes_received,30,i upstream_wire_bytes_sent,31,i upstream_wire_bytes_received,32,i access_log_type,33,~data.accesslog.v3.AccessLogType
~data.accesslog.v3.AccessLogType NotSet=0 TcpUpstreamConnected=1 TcpPeriodic=2 TcpConnectionEnd=3 DownstreamStart=4 DownstreamPeriodic=5 DownstreamEnd=6 UpstreamPoolReady=7 UpstreamPeriodic=8 UpstreamEnd=9 DownstreamTunnelSuccessfullyEstablished=10 UdpTunnelUpstreamConnected=11 UdpPeriodic=12 UdpSessionEnd=13
~data.accesslog.v3.ConnectionProperties received_bytes,1,i sent_bytes,2,i
~data.accesslog.v3.HTTPAccessLogEntry common_properties,1,~data.accesslog.v3.AccessLogCommon protocol_version,2,~data.accesslog.v3.HTTPAccessLogEntry.HTTPVersion request,3,~data.accesslog.v3.HTTPRequestProperties response,4,~data.accesslog.v3.HTTPResponseProperties
~data.accesslog.v3.HTTPAccessLogEntry.HTTPVersion PROTOCOL_UNSPECIFIED=0 HTTP10=1 HTTP11=2 HTTP2=3 HTTP3=4
~data.accesslog.v3.HTTPRequestProperties request_method,1,~config.core.v3.RequestMethod scheme,2,s authority,3,s port,4,#UInt32Value path,5,s user_agent,6,s referer,7,s forwarded_for,8,s request_id,9,s original_path,10,s request_headers_bytes,11,i request_body_bytes,12,i request_headers,13,{s upstream_header_bytes_sent,14,i downstream_header_bytes_received,15,i
~data.accesslog.v3.HTTPResponseProperties response_code,1,#UInt32Value response_headers_bytes,2,i response_body_bytes,3,i response_headers,4,{s response_trailers,5,{s response_code_details,6,s upstream_header_bytes_received,7,i downstream_header_bytes_sent,8,i
~data.accesslog.v3.ResponseFlags failed_local_healthcheck,1,b no_healthy_upstream,2,b upstream_request_timeout,3,b local_reset,4,b upstream_remote_reset,5,b upstream_connection_failure,6,b upstream_connection_termination,7,b upstream_overflow,8,b no_route_found,9,b delay_injected,10,b fault_injected,11,b rate_limited,12,b unauthorized_details,13,~data.accesslog.v3.ResponseFlags.Unauthorized rate_limit_service_error,14,b downstream_connection_termination,15,b upstream_retry_limit_exceeded,16,b stream_idle_timeout,17,b invalid_envoy_request_headers,18,b downstream_protocol_error,19,b upstream_max_stream_duration_reached,20,b response_from_cache_filter,21,b no_filter_config_found,22,b duration_timeout,23,b upstream_protocol_error,24,b no_cluster_found,25,b overload_manager,26,b dns_resolution_failure,27,b downstream_remote_reset,28,b
~data.accesslog.v3.ResponseFlags.Unauthorized reason,1,~data.accesslog.v3.ResponseFlags.Unauthorized.Reason
~data.accesslog.v3.ResponseFlags.Unauthorized.Reason REASON_UNSPECIFIED=0 EXTERNAL_SERVICE=1
~data.accesslog.v3.TCPAccessLogEntry common_properties,1,~data.accesslog.v3.AccessLogCommon connection_properties,2,~data.accesslog.v3.ConnectionProperties
~data.accesslog.v3.TLSProperties tls_version,1,~data.accesslog.v3.TLSProperties.TLSVersion tls_cipher_suite,2,#UInt32Value tls_sni_hostname,3,s local_certificate_properties,4,~data.accesslog.v3.TLSProperties.CertificateProperties peer_certificate_properties,5,~data.accesslog.v3.TLSProperties.CertificateProperties tls_session_id,6,s ja3_fingerprint,7,s
~data.accesslog.v3.TLSProperties.CertificateProperties subject_alt_name,1,[~data.accesslog.v3.TLSProperties.CertificateProperties.SubjectAltName subject,2,s issuer,3,s
~data.accesslog.v3.TLSProperties.CertificateProperties.SubjectAltName uri,1,s dns,2,s
~data.accesslog.v3.TLSProperties.TLSVersion VERSION_UNSPECIFIED=0 TLSv1=1 TLSv1_1=2 TLSv1_2=3 TLSv1_3=4
~extensions.access_loggers.grpc.v3.CommonGrpcAccessLogConfig log_name,1,s grpc_service,2,~config.core.v3.GrpcService transport_api_version,6,~config.core.v3.ApiVersion buffer_flush_interval,3,#Duration buffer_size_bytes,4,#UInt32Value filter_state_objects_to_log,5,[s grpc_stream_retry_policy,7,~config.core.v3.RetryPolicy custom_tags,8,[~type.tracing.v3.CustomTag
~extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig common_config,1,~extensions.access_loggers.grpc.v3.CommonGrpcAccessLogConfig additional_request_headers_to_log,2,[s additional_response_headers_to_log,3,[s additional_response_trailers_to_log,4,[s
~extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig common_config,1,~extensions.access_loggers.grpc.v3.CommonGrpcAccessLogConfig
~extensions.filters.http.router.v3.Router dynamic_stats,1,#BoolValue start_child_span,2,b upstream_log,3,[~config.accesslog.v3.AccessLog upstream_log_options,9,~extensions.filters.http.router.v3.Router.UpstreamAccessLogOptions suppress_envoy_headers,4,b strict_check_headers,5,[s respect_expected_rq_timeout,6,b suppress_grpc_request_failure_code_stats,7,b upstream_http_filters,8,[~extensions.filters.network.http_connection_manager.v3.HttpFilter
~extensions.filters.http.router.v3.Router.UpstreamAccessLogOptions flush_upstream_log_on_upstream_stream,1,b upstream_log_flush_interval,2,#Duration
~extensions.filters.listener.original_dst.v3.OriginalDst
~extensions.filters.listener.original_src.v3.OriginalSrc bind_port,1,b mark,2,i
~extensions.filters.listener.tls_inspector.v3.TlsInspector enable_ja3_fingerprinting,1,#BoolValue initial_read_buffer_size,2,#UInt32Value
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager codec_type,1,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.CodecType stat_prefix,2,s rds,3,~extensions.filters.network.http_connection_manager.v3.Rds route_config,4,~config.route.v3.RouteConfiguration scoped_routes,31,~extensions.filters.network.http_connection_manager.v3.ScopedRoutes http_filters,5,[~extensions.filters.network.http_connection_manager.v3.HttpFilter add_user_agent,6,#BoolValue tracing,7,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing common_http_protocol_options,35,~config.core.v3.HttpProtocolOptions http_protocol_options,8,~config.core.v3.Http1ProtocolOptions http2_protocol_options,9,~config.core.v3.Http2ProtocolOptions http3_protocol_options,44,~config.core.v3.Http3ProtocolOptions server_name,10,s server_header_transformation,34,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ServerHeaderTransformation scheme_header_transformation,48,~config.core.v3.SchemeHeaderTransformation max_request_headers_kb,29,#UInt32Value stream_idle_timeout,24,#Duration request_timeout,28,#Duration request_headers_timeout,41,#Duration drain_timeout,12,#Duration delayed_close_timeout,26,#Duration access_log,13,[~config.accesslog.v3.AccessLog access_log_flush_interval,54,#Duration flush_access_log_on_new_request,55,b access_log_options,56,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.HcmAccessLogOptions use_remote_address,14,#BoolValue xff_num_trusted_hops,19,i original_ip_detection_extensions,46,[~config.core.v3.TypedExtensionConfig early_header_mutation_extensions,52,[~config.core.v3.TypedExtensionConfig internal_address_config,25,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig skip_xff_append,21,b via,22,s generate_request_id,15,#BoolValue preserve_external_request_id,32,b always_set_request_id_in_response,37,b forward_client_cert_details,16,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ForwardClientCertDetails set_current_client_cert_details,17,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails proxy_100_continue,18,b represent_ipv4_remote_address_as_ipv4_mapped_ipv6,20,b upgrade_configs,23,[~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig normalize_path,30,#BoolValue merge_slashes,33,b path_with_escaped_slashes_action,45,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.PathWithEscapedSlashesAction request_id_extension,36,~extensions.filters.network.http_connection_manager.v3.RequestIDExtension local_reply_config,38,~extensions.filters.network.http_connection_manager.v3.LocalReplyConfig strip_matching_host_port,39,b strip_any_host_port,42,b stream_error_on_invalid_http_message,40,#BoolValue path_normalization_options,43,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.PathNormalizationOptions strip_trailing_host_dot,47,b proxy_status_config,49,~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ProxyStatusConfig typed_header_validation_config,50,~config.core.v3.TypedExtensionConfig append_x_forwarded_port,51,b append_local_overload,57,b add_proxy_protocol_connection_state,53,#BoolValue
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.CodecType AUTO=0 HTTP1=1 HTTP2=2 HTTP3=3
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ForwardClientCertDetails SANITIZE=0 FORWARD_ONLY=1 APPEND_FORWARD=2 SANITIZE_SET=3 ALWAYS_FORWARD_ONLY=4
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.HcmAccessLogOptions access_log_flush_interval,1,#Duration flush_access_log_on_new_request,2,b flush_log_on_tunnel_successfully_established,3,b
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig unix_sockets,1,b cidr_ranges,2,[~config.core.v3.CidrRange
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.PathNormalizationOptions forwarding_transformation,1,~type.http.v3.PathTransformation http_filter_transformation,2,~type.http.v3.PathTransformation
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.PathWithEscapedSlashesAction IMPLEMENTATION_SPECIFIC_DEFAULT=0 KEEP_UNCHANGED=1 REJECT_REQUEST=2 UNESCAPE_AND_REDIRECT=3 UNESCAPE_AND_FORWARD=4
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ProxyStatusConfig remove_details,1,b remove_connection_termination_details,2,b remove_response_flags,3,b set_recommended_response_code,4,b use_node_id,5,b literal_proxy_name,6,s
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.ServerHeaderTransformation OVERWRITE=0 APPEND_IF_ABSENT=1 PASS_THROUGH=2
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails subject,1,#BoolValue cert,3,b chain,6,b dns,4,b uri,5,b
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing client_sampling,3,~type.v3.Percent random_sampling,4,~type.v3.Percent overall_sampling,5,~type.v3.Percent verbose,6,b max_path_tag_length,7,#UInt32Value custom_tags,8,[~type.tracing.v3.CustomTag provider,9,~config.trace.v3.Tracing.Http spawn_upstream_span,10,#BoolValue
~extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig upgrade_type,1,s filters,2,[~extensions.filters.network.http_connection_manager.v3.HttpFilter enabled,3,#BoolValue
~extensions.filters.network.http_connection_manager.v3.HttpFilter name,1,s typed_config,4,#Any config_discovery,5,~config.core.v3.ExtensionConfigSource is_optional,6,b disabled,7,b
~extensions.filters.network.http_connection_manager.v3.LocalReplyConfig mappers,1,[~extensions.filters.network.http_connection_manager.v3.ResponseMapper body_format,2,~config.core.v3.SubstitutionFormatString
~extensions.filters.network.http_connection_manager.v3.Rds config_source,1,~config.core.v3.ConfigSource route_config_name,2,s
~extensions.filters.network.http_connection_manager.v3.RequestIDExtension typed_config,1,#Any
~extensions.filters.network.http_connection_manager.v3.ResponseMapper filter,1,~config.accesslog.v3.AccessLogFilter status_code,2,#UInt32Value body,3,~config.core.v3.DataSource body_format_override,4,~config.core.v3.SubstitutionFormatString headers_to_add,5,[~config.core.v3.HeaderValueOption
~extensions.filters.network.http_connection_manager.v3.ScopedRds scoped_rds_config_source,1,~config.core.v3.ConfigSource srds_resources_locator,2,s
~extensions.filters.network.http_connection_manager.v3.ScopedRouteConfigurationsList scoped_route_configurations,1,[~config.route.v3.ScopedRouteConfiguration
~extensions.filters.network.http_connection_manager.v3.ScopedRoutes name,1,s scope_key_builder,2,~extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder rds_config_source,3,~config.core.v3.ConfigSource scoped_route_configurations_list,4,~extensions.filters.network.http_connection_manager.v3.ScopedRouteConfigurationsList scoped_rds,5,~extensions.filters.network.http_connection_manager.v3.ScopedRds
~extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder fragments,1,[~extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder
~extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder header_value_extractor,1,~extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor
~extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor name,1,s element_separator,2,s index,3,i element,4,~extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor.KvElement
~extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor.KvElement separator,1,s key,2,s
~extensions.filters.network.rbac.v3.RBAC rules,1,~config.rbac.v3.RBAC matcher,6,xds.type.matcher.v3.Matcher shadow_rules,2,~config.rbac.v3.RBAC shadow_matcher,7,xds.type.matcher.v3.Matcher shadow_rules_stat_prefix,5,s stat_prefix,3,s enforcement_type,4,~extensions.filters.network.rbac.v3.RBAC.EnforcementType
~extensions.filters.network.rbac.v3.RBAC.EnforcementType ONE_TIME_ON_FIRST_BYTE=0 CONTINUOUS=1
~extensions.filters.network.tcp_proxy.v3.TcpProxy stat_prefix,1,s cluster,2,s weighted_clusters,10,~extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster on_demand,14,~extensions.filters.network.tcp_proxy.v3.TcpProxy.OnDemand metadata_match,9,~config.core.v3.Metadata idle_timeout,8,#Duration downstream_idle_timeout,3,#Duration upstream_idle_timeout,4,#Duration access_log,5,[~config.accesslog.v3.AccessLog max_connect_attempts,7,#UInt32Value hash_policy,11,[~type.v3.HashPolicy tunneling_config,12,~extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig max_downstream_connection_duration,13,#Duration access_log_flush_interval,15,#Duration flush_access_log_on_connected,16,b access_log_options,17,~extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions
~extensions.filters.network.tcp_proxy.v3.TcpProxy.OnDemand odcds_config,1,~config.core.v3.ConfigSource resources_locator,2,s timeout,3,#Duration
~extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions access_log_flush_interval,1,#Duration flush_access_log_on_connected,2,b
~extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig hostname,1,s use_post,2,b headers_to_add,3,[~config.core.v3.HeaderValueOption propagate_response_headers,4,b post_path,5,s propagate_response_trailers,6,b
~extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster clusters,1,[~extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight
~extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight name,1,s weight,2,i metadata_match,3,~config.core.v3.Metadata
~extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig forward_reason_phrase,1,b formatter_type_on_envoy_headers,2,~extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig.FormatterTypeOnEnvoyHeaders
~extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig.FormatterTypeOnEnvoyHeaders DEFAULT=0 PROPER_CASE=1
~extensions.transport_sockets.tls.v3.CertificateProviderPluginInstance instance_name,1,s certificate_name,2,s
~extensions.transport_sockets.tls.v3.CertificateValidationContext trusted_ca,1,~config.core.v3.DataSource ca_certificate_provider_instance,13,~extensions.transport_sockets.tls.v3.CertificateProviderPluginInstance system_root_certs,17,~extensions.transport_sockets.tls.v3.CertificateValidationContext.SystemRootCerts watched_directory,11,~config.core.v3.WatchedDirectory verify_certificate_spki,3,[s verify_certificate_hash,2,[s match_typed_subject_alt_names,15,[~extensions.transport_sockets.tls.v3.SubjectAltNameMatcher match_subject_alt_names,9,[~type.matcher.v3.StringMatcher require_signed_certificate_timestamp,6,#BoolValue crl,7,~config.core.v3.DataSource allow_expired_certificate,8,b trust_chain_verification,10,~extensions.transport_sockets.tls.v3.CertificateValidationContext.TrustChainVerification custom_validator_config,12,~config.core.v3.TypedExtensionConfig only_verify_leaf_cert_crl,14,b max_verify_depth,16,#UInt32Value
~extensions.transport_sockets.tls.v3.CertificateValidationContext.SystemRootCerts
~extensions.transport_sockets.tls.v3.CertificateValidationContext.TrustChainVerification VERIFY_TRUST_CHAIN=0 ACCEPT_UNTRUSTED=1
~extensions.transport_sockets.tls.v3.CommonTlsContext tls_params,1,~extensions.transport_sockets.tls.v3.TlsParameters tls_certificates,2,[~extensions.transport_sockets.tls.v3.TlsCertificate tls_certificate_sds_secret_configs,6,[~extensions.transport_sockets.tls.v3.SdsSecretConfig tls_certificate_provider_instance,14,~extensions.transport_sockets.tls.v3.CertificateProviderPluginInstance tls_certificate_certificate_provider,9,~extensions.transport_sockets.tls.v3.CommonTlsContext.CertificateProvider tls_certificate_certificate_provider_instance,11,~extensions.transport_sockets.tls.v3.CommonTlsContext.CertificateProviderInstance validation_context,3,~extensions.transport_sockets.tls.v3.CertificateValidationContext validation_context_sds_secret_config,7,~extensions.transport_sockets.tls.v3.SdsSecretConfig combined_validation_context,8,~extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext validation_context_certificate_provider,10,~extensions.transport_sockets.tls.v3.CommonTlsContext.CertificateProvider validation_context_certificate_provider_instance,12,~extensions.transport_sockets.tls.v3.CommonTlsContext.CertificateProviderInstance alpn_protocols,4,[s custom_handshaker,13,~config.core.v3.TypedExtensionConfig key_log,15,~extensions.transport_sockets.tls.v3.TlsKeyLog
~extensions.transport_sockets.tls.v3.CommonTlsContext.CertificateProvider name,1,s typed_config,2,~config.core.v3.TypedExtensionConfig
~extensions.transport_sockets.tls.v3.CommonTlsContext.CertificateProviderInstance instance_name,1,s certificate_name,2,s
~extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext default_validation_context,1,~extensions.transport_sockets.tls.v3.CertificateValidationContext validation_context_sds_secret_config,2,~extensions.transport_sockets.tls.v3.SdsSecretConfig validation_context_certificate_provider,3,~extensions.transport_sockets.tls.v3.CommonTlsContext.CertificateProvider validation_context_certificate_provider_instance,4,~extensions.transport_sockets.tls.v3.CommonTlsContext.CertificateProviderInstance
~extensions.transport_sockets.tls.v3.DownstreamTlsContext common_tls_context,1,~extensions.transport_sockets.tls.v3.CommonTlsContext require_client_certificate,2,#BoolValue require_sni,3,#BoolValue session_ticket_keys,4,~extensions.transport_sockets.tls.v3.TlsSessionTicketKeys session_ticket_keys_sds_secret_config,5,~extensions.transport_sockets.tls.v3.SdsSecretConfig disable_stateless_session_resumption,7,b disable_stateful_session_resumption,10,b session_timeout,6,#Duration ocsp_staple_policy,8,~extensions.transport_sockets.tls.v3.DownstreamTlsContext.OcspStaplePolicy full_scan_certs_on_sni_mismatch,9,#BoolValue
~extensions.transport_sockets.tls.v3.DownstreamTlsContext.OcspStaplePolicy LENIENT_STAPLING=0 STRICT_STAPLING=1 MUST_STAPLE=2
~extensions.transport_sockets.tls.v3.GenericSecret secret,1,~config.core.v3.DataSource
~extensions.transport_sockets.tls.v3.PrivateKeyProvider provider_name,1,s typed_config,3,#Any fallback,4,b
~extensions.transport_sockets.tls.v3.SdsSecretConfig name,1,s sds_config,2,~config.core.v3.ConfigSource
~extensions.transport_sockets.tls.v3.Secret name,1,s tls_certificate,2,~extensions.transport_sockets.tls.v3.TlsCertificate session_ticket_keys,3,~extensions.transport_sockets.tls.v3.TlsSessionTicketKeys validation_context,4,~extensions.transport_sockets.tls.v3.CertificateValidationContext generic_secret,5,~extensions.transport_sockets.tls.v3.GenericSecret
~extensions.transport_sockets.tls.v3.SubjectAltNameMatcher san_type,1,~extensions.transport_sockets.tls.v3.SubjectAltNameMatcher.SanType matcher,2,~type.matcher.v3.StringMatcher oid,3,s
~extensions.transport_sockets.tls.v3.SubjectAltNameMatcher.SanType SAN_TYPE_UNSPECIFIED=0 EMAIL=1 DNS=2 URI=3 IP_ADDRESS=4 OTHER_NAME=5
~extensions.transport_sockets.tls.v3.TlsCertificate certificate_chain,1,~config.core.v3.DataSource private_key,2,~config.core.v3.DataSource pkcs12,8,~config.core.v3.DataSource watched_directory,7,~config.core.v3.WatchedDirectory private_key_provider,6,~extensions.transport_sockets.tls.v3.PrivateKeyProvider password,3,~config.core.v3.DataSource ocsp_staple,4,~config.core.v3.DataSource signed_certificate_timestamp,5,[~config.core.v3.DataSource
~extensions.transport_sockets.tls.v3.TlsKeyLog path,1,s local_address_range,2,[~config.core.v3.CidrRange remote_address_range,3,[~config.core.v3.CidrRange
~extensions.transport_sockets.tls.v3.TlsParameters tls_minimum_protocol_version,1,~extensions.transport_sockets.tls.v3.TlsParameters.TlsProtocol tls_maximum_protocol_version,2,~extensions.transport_sockets.tls.v3.TlsParameters.TlsProtocol cipher_suites,3,[s ecdh_curves,4,[s signature_algorithms,5,[s
~extensions.transport_sockets.tls.v3.TlsParameters.TlsProtocol TLS_AUTO=0 TLSv1_0=1 TLSv1_1=2 TLSv1_2=3 TLSv1_3=4
~extensions.transport_sockets.tls.v3.TlsSessionTicketKeys keys,1,[~config.core.v3.DataSource
~extensions.transport_sockets.tls.v3.UpstreamTlsContext common_tls_context,1,~extensions.transport_sockets.tls.v3.CommonTlsContext sni,2,s allow_renegotiation,3,b max_session_keys,4,#UInt32Value enforce_rsa_key_usage,5,#BoolValue
~extensions.upstreams.http.v3.HttpProtocolOptions common_http_protocol_options,1,~config.core.v3.HttpProtocolOptions upstream_http_protocol_options,2,~config.core.v3.UpstreamHttpProtocolOptions explicit_http_config,3,~extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig use_downstream_protocol_config,4,~extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig auto_config,5,~extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig http_filters,6,[~extensions.filters.network.http_connection_manager.v3.HttpFilter header_validation_config,7,~config.core.v3.TypedExtensionConfig
~extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig http_protocol_options,1,~config.core.v3.Http1ProtocolOptions http2_protocol_options,2,~config.core.v3.Http2ProtocolOptions http3_protocol_options,3,~config.core.v3.Http3ProtocolOptions alternate_protocols_cache_options,4,~config.core.v3.AlternateProtocolsCacheOptions
~extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig http_protocol_options,1,~config.core.v3.Http1ProtocolOptions http2_protocol_options,2,~config.core.v3.Http2ProtocolOptions http3_protocol_options,3,~config.core.v3.Http3ProtocolOptions
~extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig http_protocol_options,1,~config.core.v3.Http1ProtocolOptions http2_protocol_options,2,~config.core.v3.Http2ProtocolOptions http3_protocol_options,3,~config.core.v3.Http3ProtocolOptions
~service.accesslog.v3.StreamAccessLogsMessage identifier,1,~service.accesslog.v3.StreamAccessLogsMessage.Identifier http_logs,2,~service.accesslog.v3.StreamAccessLogsMessage.HTTPAccessLogEntries tcp_logs,3,~service.accesslog.v3.StreamAccessLogsMessage.TCPAccessLogEntries
~service.accesslog.v3.StreamAccessLogsMessage.HTTPAccessLogEntries log_entry,1,[~data.accesslog.v3.HTTPAccessLogEntry
~service.accesslog.v3.StreamAccessLogsMessage.Identifier node,1,~config.core.v3.Node log_name,2,s
~service.accesslog.v3.StreamAccessLogsMessage.TCPAccessLogEntries log_entry,1,[~data.accesslog.v3.TCPAccessLogEntry
~service.discovery.v3.DeltaDiscoveryRequest node,1,~config.core.v3.Node type_url,2,s resource_names_subscribe,3,[s resource_names_unsubscribe,4,[s resource_locators_subscribe,8,[~service.discovery.v3.ResourceLocator resource_locators_unsubscribe,9,[~service.discovery.v3.ResourceLocator initial_resource_versions,5,{s response_nonce,6,s error_detail,7,google.rpc.Status
~service.discovery.v3.DeltaDiscoveryResponse system_version_info,1,s resources,2,[~service.discovery.v3.Resource type_url,4,s removed_resources,6,[s removed_resource_names,8,[~service.discovery.v3.ResourceName nonce,5,s control_plane,7,~config.core.v3.ControlPlane
~service.discovery.v3.DynamicParameterConstraints constraint,1,~service.discovery.v3.DynamicParameterConstraints.SingleConstraint or_constraints,2,~service.discovery.v3.DynamicParameterConstraints.ConstraintList and_constraints,3,~service.discovery.v3.DynamicParameterConstraints.ConstraintList not_constraints,4,~service.discovery.v3.DynamicParameterConstraints
~service.discovery.v3.DynamicParameterConstraints.ConstraintList constraints,1,[~service.discovery.v3.DynamicParameterConstraints
~service.discovery.v3.DynamicParameterConstraints.SingleConstraint key,1,s value,2,s exists,3,~service.discovery.v3.DynamicParameterConstraints.SingleConstraint.Exists
~service.discovery.v3.DynamicParameterConstraints.SingleConstraint.Exists
~service.discovery.v3.Resource name,3,s resource_name,8,~service.discovery.v3.ResourceName aliases,4,[s version,1,s resource,2,#Any ttl,6,#Duration cache_control,7,~service.discovery.v3.Resource.CacheControl metadata,9,~config.core.v3.Metadata
~service.discovery.v3.Resource.CacheControl do_not_cache,1,b
~service.discovery.v3.ResourceLocator name,1,s dynamic_parameters,2,{s
~service.discovery.v3.ResourceName name,1,s dynamic_parameter_constraints,2,~service.discovery.v3.DynamicParameterConstraints
~service.runtime.v3.Runtime name,1,s layer,2,#Struct
~type.http.v3.PathTransformation operations,1,[~type.http.v3.PathTransformation.Operation
~type.http.v3.PathTransformation.Operation normalize_path_rfc_3986,2,~type.http.v3.PathTransformation.Operation.NormalizePathRFC3986 merge_slashes,3,~type.http.v3.PathTransformation.Operation.MergeSlashes
~type.http.v3.PathTransformation.Operation.MergeSlashes
~type.http.v3.PathTransformation.Operation.NormalizePathRFC3986
~type.matcher.v3.DoubleMatcher range,1,~type.v3.DoubleRange exact,2,d
~type.matcher.v3.FilterStateMatcher key,1,s string_match,2,~type.matcher.v3.StringMatcher
~type.matcher.v3.ListMatcher one_of,1,~type.matcher.v3.ValueMatcher
~type.matcher.v3.MetadataMatcher filter,1,s path,2,[~type.matcher.v3.MetadataMatcher.PathSegment value,3,~type.matcher.v3.ValueMatcher invert,4,b
~type.matcher.v3.MetadataMatcher.PathSegment key,1,s
~type.matcher.v3.OrMatcher value_matchers,1,[~type.matcher.v3.ValueMatcher
~type.matcher.v3.PathMatcher path,1,~type.matcher.v3.StringMatcher
~type.matcher.v3.RegexMatchAndSubstitute pattern,1,~type.matcher.v3.RegexMatcher substitution,2,s
~type.matcher.v3.RegexMatcher google_re2,1,~type.matcher.v3.RegexMatcher.GoogleRE2 regex,2,s
~type.matcher.v3.RegexMatcher.GoogleRE2 max_program_size,1,#UInt32Value
~type.matcher.v3.StringMatcher exact,1,s prefix,2,s suffix,3,s safe_regex,5,~type.matcher.v3.RegexMatcher contains,7,s custom,8,xds.core.v3.TypedExtensionConfig ignore_case,6,b
~type.matcher.v3.ValueMatcher null_match,1,~type.matcher.v3.ValueMatcher.NullMatch double_match,2,~type.matcher.v3.DoubleMatcher string_match,3,~type.matcher.v3.StringMatcher bool_match,4,b present_match,5,b list_match,6,~type.matcher.v3.ListMatcher or_match,7,~type.matcher.v3.OrMatcher
~type.matcher.v3.ValueMatcher.NullMatch
~type.metadata.v3.MetadataKey key,1,s path,2,[~type.metadata.v3.MetadataKey.PathSegment
~type.metadata.v3.MetadataKey.PathSegment key,1,s
~type.metadata.v3.MetadataKind request,1,~type.metadata.v3.MetadataKind.Request route,2,~type.metadata.v3.MetadataKind.Route cluster,3,~type.metadata.v3.MetadataKind.Cluster host,4,~type.metadata.v3.MetadataKind.Host
~type.metadata.v3.MetadataKind.Cluster
~type.metadata.v3.MetadataKind.Host
~type.metadata.v3.MetadataKind.Request
~type.metadata.v3.MetadataKind.Route
~type.tracing.v3.CustomTag tag,1,s literal,2,~type.tracing.v3.CustomTag.Literal environment,3,~type.tracing.v3.CustomTag.Environment request_header,4,~type.tracing.v3.CustomTag.Header metadata,5,~type.tracing.v3.CustomTag.Metadata
~type.tracing.v3.CustomTag.Environment name,1,s default_value,2,s
~type.tracing.v3.CustomTag.Header name,1,s default_value,2,s
~type.tracing.v3.CustomTag.Literal value,1,s
~type.tracing.v3.CustomTag.Metadata kind,1,~type.metadata.v3.MetadataKind metadata_key,2,~type.metadata.v3.MetadataKey default_value,3,s
~type.v3.DoubleRange start,1,d end,2,d
~type.v3.FractionalPercent numerator,1,i denominator,2,~type.v3.FractionalPercent.DenominatorType
~type.v3.FractionalPercent.DenominatorType HUNDRED=0 TEN_THOUSAND=1 MILLION=2
~type.v3.HashPolicy source_ip,1,~type.v3.HashPolicy.SourceIp filter_state,2,~type.v3.HashPolicy.FilterState
~type.v3.HashPolicy.FilterState key,1,s
~type.v3.HashPolicy.SourceIp
~type.v3.Int32Range start,1,i end,2,i
~type.v3.Int64Range start,1,i end,2,i
~type.v3.Percent value,1,d
~type.v3.SemanticVersion major_number,1,i minor_number,2,i patch,3,i
`

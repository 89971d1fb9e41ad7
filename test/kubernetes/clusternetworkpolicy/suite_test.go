// SPDX-License-Identifier: Apache-2.0

// The conformance tests of ClusterNetworkPolicy, as its project has them. Flags: -supported-features, -test.run …
package clusternetworkpolicy

import (
	"testing"

	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	api "sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/network-policy-api/conformance/tests"
	"sigs.k8s.io/network-policy-api/conformance/utils/flags"
	"sigs.k8s.io/network-policy-api/conformance/utils/suite"
)

func TestConformance(t *testing.T) {
	access, err := config.GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(access, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err = api.Install(c.Scheme()); err != nil {
		t.Fatal(err)
	}
	all := suite.New(suite.Options{
		Client:            c,
		ClientSet:         kubernetes.NewForConfigOrDie(access),
		KubeConfig:        *access,
		SupportedFeatures: suite.ParseSupportedFeatures(*flags.SupportedFeatures),
		ExemptFeatures:    suite.ParseSupportedFeatures(*flags.ExemptFeatures),
	})
	all.Setup(t)
	all.Run(t, tests.ConformanceTests)
}

// SPDX-License-Identifier: Apache-2.0

// Kubernetes' own end-to-end tests of networking, and nothing else of the suite they come from: building that whole
// takes an hour. Takes the flags of the suite: --kubeconfig, --ginkgo.focus, --ginkgo.skip, --report-dir …
package main

import (
	"flag"
	"os"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"k8s.io/kubernetes/test/e2e/framework"
	"k8s.io/kubernetes/test/e2e/framework/config"
	"k8s.io/kubernetes/test/e2e/framework/testfiles"
	e2etestingmanifests "k8s.io/kubernetes/test/e2e/testing-manifests"

	_ "k8s.io/kubernetes/test/e2e/common/network"
	_ "k8s.io/kubernetes/test/e2e/feature"
	_ "k8s.io/kubernetes/test/e2e/framework/debug/init"
	_ "k8s.io/kubernetes/test/e2e/framework/node/init"
	_ "k8s.io/kubernetes/test/e2e/network"
)

type outcome struct{ failed bool }

func (o *outcome) Fail() { o.failed = true }

func main() {
	testfiles.AddFileSource(e2etestingmanifests.GetE2ETestingManifestsFS())
	testing.Init() // ginkgo's program, which runs several of this one, hands flags of Go's tests too
	config.CopyFlags(config.Flags, flag.CommandLine)
	framework.RegisterCommonFlags(flag.CommandLine)
	framework.RegisterClusterFlags(flag.CommandLine)
	flag.Parse()
	framework.AfterReadingAllFlags(&framework.TestContext)
	gomega.RegisterFailHandler(framework.Fail)
	suite, reporter := framework.CreateGinkgoConfig()
	result := &outcome{}
	ginkgo.RunSpecs(result, "Kubernetes' tests of networking", suite, reporter)
	if result.failed {
		os.Exit(1)
	}
}

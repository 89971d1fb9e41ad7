module github.com/cilium/charts

go 1.24

// SPDX-License-Identifier: Apache-2.0

// Mock is the HTTP server that the connectivity test asks: every path answers 200 but those below.
package main

import (
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	// Answers only who has the header that a policy adds.
	http.HandleFunc("/auth-header-required", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer 123456" {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
		}
	})
	http.HandleFunc("/client-ip", func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		json.NewEncoder(w).Encode(map[string]string{"client-ip": host})
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}

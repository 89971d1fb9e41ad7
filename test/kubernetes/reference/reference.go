// SPDX-License-Identifier: Apache-2.0

// Package reference names the plugins that start-up times are compared with; nothing of it is shipped.
package reference

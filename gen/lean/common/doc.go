// Package common has the types of api/common.yaml, and not the contract.
package common

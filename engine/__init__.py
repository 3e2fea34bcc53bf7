"""Pure computation: tables and arrays in, tables and arrays out. No disk, no network, no clock."""

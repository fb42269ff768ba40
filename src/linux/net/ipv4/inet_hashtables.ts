/** net/ipv4/inet_hashtables.c, by table. */

export * from './inet_hashtables/bind.ts'
export * from './inet_hashtables/connect.ts'
export * from './inet_hashtables/hash.ts'
export * from './inet_hashtables/table.ts'

// SPDX-License-Identifier: Apache-2.0
import { maps } from '../../../gen/contract.ts'
import type { Classes } from '../../model/datapath.ts'
import { BpfMap, type Codec, type EntryError } from './map.ts'
import { errnoNumber, KernelError } from './syscall.ts'
import { present } from './target.ts'

/** Values of both maps as they lie in memory: a page is written for one identity that joins, in each table it joins. */
const words: Codec<Uint16Array> = {
  size: 512,
  read: (view, at) => new Uint16Array(view.buffer, view.byteOffset + at, 256).slice(),
  write: (view, at, value) => new Uint16Array(view.buffer, view.byteOffset + at, 256).set(value),
}

/** One page of a table: its place in the table's index, and who is in which class there. */
export type PageOf = readonly [place: number, classes: Classes]

/**
 * The pages of classes that decision tables have, and the indexes that lead to them. A page is written before the index
 * leads to it, and free only when the index leads there no more; the search for a free one goes round, so that a packet
 * that is being looked at finds no other's classes in it.
 */
export function openClassPages(indexFd: number, pagesFd: number) {
  const index = new BpfMap(maps.cilium_class_index.name, indexFd, maps.cilium_class_index.key, words)
  const pages = new BpfMap(maps.cilium_class_pages.name, pagesFd, maps.cilium_class_pages.key, words)
  /** By table; 0: no page, everybody there is of class 0. */
  const pagesOf = new Map<number, Uint16Array>()
  const taken = new Uint8Array(Math.min(pages.info.maxEntries, 65536))
  let next = 1

  const none = new Uint16Array(256)
  const page = new Uint16Array(256)
  function lead(table: number, to: Uint16Array): void {
    index.put(table, to)
    if (to.some((page) => page !== 0)) pagesOf.set(table, to)
    else pagesOf.delete(table)
  }

  function take(): number {
    for (let i = 0; i < taken.length; i++) {
      const page = (next + i) % taken.length
      if (page === 0 || taken[page]) continue
      taken[page] = 1
      next = page + 1
      return page
    }
    throw new KernelError(`update of ${pages.name}`, errnoNumber('ENOSPC'))
  }

  /** Undefined when it was done, else why not. */
  function tried(work: () => void): EntryError {
    try {
      work()
      return undefined
    } catch (error) {
      if (error instanceof KernelError) return error
      throw error
    }
  }

  return {
    pages,

    /** By table, identity to class, as the kernel has them; forgets what was known before. */
    read(): Map<number, Map<number, number>> {
      const found = new Map<number, Map<number, number>>()
      pagesOf.clear()
      taken.fill(0)
      for (const [table, to] of present(index)) {
        const classes = new Map<number, number>()
        pagesOf.set(table, to)
        for (const [place, number] of to.entries()) {
          if (number === 0) continue
          taken[number] = 1
          const there = pages.get(number) ?? none
          for (let low = 0; low < 256; low++) if (there[low]) classes.set(place * 256 + low, there[low] as number)
        }
        found.set(table, classes)
      }
      return found
    },

    /** Of these places everybody falls back to class 0. */
    leave(table: number, places: readonly number[]): EntryError {
      const there = pagesOf.get(table)
      if (!there || places.length === 0) return undefined
      const to = there.slice()
      for (const place of places) to[place] = 0
      return tried(() => {
        lead(table, to)
        for (const place of places) taken[there[place] as number] = 0
      })
    },

    /** Makes pages what is said, each as a whole. All of them, or those that had none stay without. */
    fill(table: number, filled: readonly PageOf[]): EntryError {
      const there = pagesOf.get(table) ?? none
      const to = there.slice()
      const fresh: number[] = []
      const error = tried(() => {
        for (const [place] of filled) if (to[place] === 0) fresh.push((to[place] = take()))
        for (const [place, classes] of filled) {
          page.fill(0)
          for (const [identity, number] of classes) page[identity & 255] = number
          pages.put(to[place] as number, page)
        }
        if (fresh.length > 0) lead(table, to)
      })
      if (error) for (const page of fresh) taken[page] = 0
      return error
    },
  }
}

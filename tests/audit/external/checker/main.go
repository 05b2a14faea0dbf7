// Checks a log's directory with the libraries that verify the Go checksum database, and with nothing of ours:
//
//	checker <directory> <file with the log's key> [<checkpoint that was saved earlier>]
//
// Every tile is authenticated against the signed root, every entry against its tile, one proof for each of some entries
// is verified, and the tree has to continue the saved one.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

type tiles struct{ root string }

func (t tiles) Height() int                         { return 8 }
func (t tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

// The library's paths name the height, those of tlog-tiles do not.
func (t tiles) ReadTiles(wanted []tlog.Tile) (found [][]byte, err error) {
	for _, tile := range wanted {
		content, err := os.ReadFile(filepath.Join(t.root, "tile", strings.TrimPrefix(tile.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		found = append(found, content)
	}
	return found, nil
}

func head(path string, verifier note.Verifier) tlog.Tree {
	raw := must(os.ReadFile(path))
	opened := must(note.Open(raw, note.VerifierList(verifier)))
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		fail("%s is no checkpoint of %s", path, verifier.Name())
	}
	return tlog.Tree{N: must(strconv.ParseInt(lines[1], 10, 64)), Hash: must(tlog.ParseHash(lines[2]))}
}

func entries(root string, index, size int64) (found [][]byte) {
	tile := tlog.Tile{H: 8, L: 0, N: index, W: int(min(width, size-index*width))}
	path := strings.TrimPrefix(tile.Path(), "tile/8/0/")
	reader := bytes.NewReader(must(os.ReadFile(filepath.Join(root, "tile/entries", path))))
	for reader.Len() > 0 {
		var length uint16
		check(binary.Read(reader, binary.BigEndian, &length))
		entry := make([]byte, length)
		if n, _ := reader.Read(entry); n != int(length) {
			fail("bundle %d is cut off", index)
		}
		found = append(found, entry)
	}
	return found
}

func main() {
	root := os.Args[1]
	verifier := must(note.NewVerifier(strings.TrimSpace(string(must(os.ReadFile(os.Args[2]))))))
	tree := head(filepath.Join(root, "checkpoint"), verifier)
	hashes := tlog.TileHashReader(tree, tiles{root})
	if tree.Hash != must(tlog.TreeHash(tree.N, hashes)) {
		fail("the tiles have another root")
	}
	for index := int64(0); index*width < tree.N; index++ {
		found := entries(root, index, tree.N)
		stored := make([]int64, len(found))
		for place := range found {
			stored[place] = tlog.StoredHashIndex(0, index*width+int64(place))
		}
		for place, hash := range must(hashes.ReadHashes(stored)) {
			number := index*width + int64(place)
			if hash != tlog.RecordHash(found[place]) {
				fail("entry %d is not the one in the tree", number)
			}
			if place == 7 {
				check(tlog.CheckRecord(must(tlog.ProveRecord(tree.N, number, hashes)), tree.N, tree.Hash, number, hash))
			}
		}
	}
	if len(os.Args) > 3 {
		saved := head(os.Args[3], verifier)
		proof := must(tlog.ProveTree(tree.N, saved.N, hashes))
		check(tlog.CheckTree(proof, tree.N, tree.Hash, saved.N, saved.Hash))
	}
	fmt.Printf("verified %d entries\n", tree.N)
}

func must[T any](value T, err error) T { check(err); return value }

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

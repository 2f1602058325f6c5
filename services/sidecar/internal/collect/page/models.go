package page

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxModelList bounds a list of models.
const maxModelList = 1 << 20

// infinityQueue is the name under which the queue is known that Infinity shows in its list of models alone.
const infinityQueue = "infinity:queue_absolute"

// addModels takes Infinity's list of models (GET /models), whose statistics are not on its page.
func (f *families) addModels(in io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(in, maxModelList+1))
	if err != nil {
		return err
	}
	if len(raw) > maxModelList {
		return fmt.Errorf("the list of models is longer than %d KiB", maxModelList>>10)
	}
	var list struct {
		Data []struct {
			ID    string `json:"id"`
			Stats struct {
				Queue *float64 `json:"queue_absolute"`
			} `json:"stats"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("what is in JSON is no list of models: %w", err)
	}
	for _, m := range list.Data {
		if m.Stats.Queue != nil {
			line := infinityQueue + "{model=" + quoted(m.ID) + "} " + strconv.FormatFloat(*m.Stats.Queue, 'f', -1, 64)
			f.take([]byte(line), len(line) > maxLine)
		}
	}
	return nil
}

// quoted is a label's value as the text format has it.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

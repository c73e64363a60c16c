#!/usr/bin/env python3
"""sdk-table.py FOLDER SDK…: the figures of make sdk-bench as a table."""
import pathlib
import statistics
import sys

THREADS = " threads"


def figures(path):
    """Medians of rates by operation, size and number of callers, and of a call's processor time."""
    if not path.exists():
        return {}, {}
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    keys = dict.fromkeys(tuple(row[:3]) for row in rows)

    def medians(column):
        found = {key: [float(row[column]) for row in rows
                       if tuple(row[:3]) == key and len(row) > column] for key in keys}
        return {key: statistics.median(values) for key, values in found.items() if values}

    return medians(3), medians(4)


def main():
    folder = pathlib.Path(sys.argv[1])
    rust, rust_cpu = figures(folder / "rust.tsv")
    columns = []
    for sdk in sys.argv[2:]:
        ours, cpu = figures(folder / f"{sdk}.tsv")
        columns.append((sdk, ours, cpu, figures(folder / f"{sdk}-usual.tsv")[0]))
        # Lines "upload threads" and so on: the same calls, each on a thread that waits for it.
        waiting = [{(operation.removesuffix(THREADS), *key): value
                    for (operation, *key), value in figured.items() if operation.endswith(THREADS)}
                   for figured in (ours, cpu)]
        if waiting[0]:
            columns.append((sdk + THREADS, *waiting, {}))
    print("| calls/s | Rust | " + " | ".join(
        f"{sdk}, ÷ Rust" + (", ÷ its usual client" if usual else "")
        for sdk, _, _, usual in columns) + " |")
    print("| --- |" + " --- |" * (len(columns) + 1))
    for (operation, size, callers), base in rust.items():
        name = "4 KiB" if size == "4096" else "1 MiB"
        key = (operation, size, callers)
        cells = [f"{operation} {name} ×{callers}", f"{base:,.0f}".replace(",", " ")]
        if key in rust_cpu:
            cells[1] += f", {rust_cpu[key]:.0f} µs"
        for _, ours, cpu, usual in columns:
            if key not in ours:
                cells.append("–")
                continue
            rate = f"{ours[key]:,.0f}".replace(",", " ")
            cell = f"{rate}, **{ours[key] / base:.2f}**"
            if key in cpu:
                cell += f", {cpu[key]:.0f} µs"
            if usual:
                cell += f", {ours[key] / usual[key]:.1f}" if usual.get(key) else ", –"
            cells.append(cell)
        print("| " + " | ".join(cells) + " |")


main()

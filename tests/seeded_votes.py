"""Answers drawn of two runs of the seeded database, and a ranking model that has judged one run's."""

import json
import random
import sqlite3
from pathlib import Path

from tests.seeded import NOW, question, text_id

RANKER = 10


def votes(database: Path) -> Path:
    """Run 4: 8 answers to 20 test questions, scored by its discriminator and by run 10; and 2 at another temperature.

    An answer is right as often as not, and those that are tend to have the higher score.
    """
    con = sqlite3.connect(database)
    spec = json.dumps({"name": "arithmetic-ranking", "method": {"name": "ranking"}})
    con.execute(
        "INSERT INTO runs SELECT ?, 'arithmetic-ranking', 'done', 'ranking', dataset, teacher, student, seed, ?,"
        " 'runs/10', created_at + 10, started_at, ended_at, heartbeat_at, 120, 120, 5, 5, NULL FROM runs WHERE id = 4",
        (RANKER, spec),
    )
    con.execute("INSERT INTO run_datasets VALUES (?, 1)", (RANKER,))
    con.execute("INSERT INTO evaluations VALUES (1, 4, 'test', 'explain', 2000, 0.7, 1, 20, 8, ?)", (NOW - 500,))
    con.execute("INSERT INTO evaluations VALUES (2, 4, 'test', 'explain', 2000, 1.5, 1, 20, 4, ?)", (NOW - 400,))
    for name, last in (("ranked_right", 0.81), ("auc/minority", 0.74), ("loss/ranking", 0.02)):
        key = con.execute("INSERT INTO series VALUES (NULL, ?, ?)", (RANKER, name)).lastrowid
        rows = [(key, step, last * step / 120, NOW - 3000 + step) for step in range(24, 121, 24)]
        con.executemany("INSERT INTO points VALUES (?, ?, ?, NULL, ?)", rows)
    draw = random.Random(7)
    for evaluation, samples in ((1, 8), (2, 2)):
        for i in range(20):
            key, gold = f"test-{i:04d}", int(question(500 + i)[2])
            firsts: dict[int, int] = {}
            for number in range(samples):
                said = gold if draw.random() < 0.45 else gold + draw.choice((1, 2, -1))
                cluster = firsts.setdefault(said, number)
                text = text_id(con, f"first add and then take, finally {said}. Answer: {said}")
                row = (evaluation, key, number, i, text, str(said), cluster, int(said == gold))
                con.execute("INSERT INTO drawn_answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
                for judge, step, good in ((RANKER, 120, 0.6), (4, 2000, 0.5)) if evaluation == 1 else ():
                    score = min(1.0, max(0.0, draw.gauss(good if said == gold else 0.4, 0.2)))
                    con.execute(
                        "INSERT INTO drawn_scores VALUES (1, ?, ?, ?, ?, ?)",
                        (judge, step, key, number, None if number == 5 else score),
                    )
    con.commit()
    con.close()
    return database

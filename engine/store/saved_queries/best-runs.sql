-- Finished runs, the most accurate explain head first
SELECT id, name, method, seed,
       round(explain_accuracy, 3) AS explain,
       round(explain_accuracy_low, 3) AS low,
       round(explain_accuracy_high, 3) AS high,
       accuracy_split AS split, round(seconds / 60, 1) AS minutes
FROM run_summary
WHERE status = 'done'
ORDER BY explain_accuracy DESC
LIMIT 50;

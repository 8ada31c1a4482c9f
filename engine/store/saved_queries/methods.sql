-- Each method over its finished runs: mean, worst and best explain accuracy
SELECT method, count(*) AS runs,
       round(avg(explain_accuracy), 3) AS mean,
       round(min(explain_accuracy), 3) AS worst,
       round(max(explain_accuracy), 3) AS best
FROM run_summary
WHERE status = 'done'
GROUP BY method
ORDER BY mean DESC;

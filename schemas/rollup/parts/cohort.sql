-- A trace's labelled cohort; one called like the whole route or a built-in one is told apart.
if(cohort = '*' OR startsWith(cohort, 'builtin:'), concat('label:', cohort), toString(cohort))
